#include "core/oci/resource_update.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/oci/json.h"
#include "core/oci/resources.h"

namespace berth::oci {
namespace {

using runtime::v1::LinuxContainerResources;

constexpr size_t kMostUpdateBytes = 64 << 10;
constexpr int64_t kDefaultShares = 1024;

}  // namespace

absl::Status CheckResourceUpdate(const LinuxContainerResources& update) {
  if (update.ByteSizeLong() > kMostUpdateBytes) {
    return absl::InvalidArgumentError(absl::StrCat("resources: more than ", kMostUpdateBytes, " bytes"));
  }
  if (update.oom_score_adj() < -1000 || update.oom_score_adj() > 1000) {
    return absl::InvalidArgumentError(
        absl::StrCat("resources: oom_score_adj is ", update.oom_score_adj(), ", not within -1000 and 1000"));
  }
  for (const auto& [key, value] : update.unified()) {
    if (value.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError("resources: a value of unified contains a NUL byte");
    }
  }
  return absl::OkStatus();
}

bool ChangesNothing(const LinuxContainerResources& update) { return update.ByteSizeLong() == 0; }

absl::StatusOr<nlohmann::json> UndoResourcesJson(const LinuxContainerResources& before,
                                                 const LinuxContainerResources& after, const CgroupFacts& cgroup) {
  ASSIGN_OR_RETURN(nlohmann::json undo, ResourcesJson(before, cgroup));
  ASSIGN_OR_RETURN(const nlohmann::json done, ResourcesJson(after, cgroup));
  const std::pair<const char*, std::vector<std::pair<const char*, int64_t>>> unlimited[] = {
      {"memory", {{"limit", -1}, {"swap", -1}}}, {"cpu", {{"quota", -1}, {"shares", kDefaultShares}}}};
  for (const auto& [controller, values] : unlimited) {
    for (const auto& [key, value] : values) {
      const bool set = done.contains(controller) && done[controller].contains(key);
      const bool was_set = undo.contains(controller) && undo[controller].contains(key);
      if (set && !was_set && (cgroup.version == 2 || key != std::string("quota"))) undo[controller][key] = value;
    }
  }
  return undo;
}

absl::StatusOr<std::string> SpecWithResources(absl::string_view container_spec, nlohmann::json resources,
                                              std::optional<int> oom_score_adj) {
  ASSIGN_OR_RETURN(nlohmann::json spec, ParseJson(container_spec, "config.json", {.bytes = 64 << 20}));
  if (!spec.is_object() || !spec.contains("linux") || !spec["linux"].is_object() || !spec.contains("process") ||
      !spec["process"].is_object()) {
    return absl::DataLossError("the container's config.json is no runtime spec");
  }
  nlohmann::json& old = spec["linux"]["resources"];
  if (old.is_object() && old.contains("devices")) resources["devices"] = std::move(old["devices"]);
  old = std::move(resources);
  if (oom_score_adj) spec["process"]["oomScoreAdj"] = *oom_score_adj;
  return DumpJson(spec, "config.json");
}

}  // namespace berth::oci
