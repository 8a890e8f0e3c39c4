#include "core/pod/cgroup_names.h"

#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/base/id.h"
#include "core/base/path.h"
#include "core/base/status.h"

namespace berth {
namespace {

constexpr absl::string_view kSlice = ".slice";
constexpr absl::string_view kPrefix = "berth";
constexpr size_t kMostUnitBytes = 255;  // of a unit's name, systemd.unit(5)

absl::string_view LastPart(absl::string_view path) {
  while (absl::ConsumeSuffix(&path, "/")) {
  }
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

// "a-b.slice" lies in "a.slice"; "-.slice" is the root.
absl::StatusOr<std::string> ExpandSlice(absl::string_view slice) {
  const auto bad = [slice](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("linux.cgroup_parent: \"", absl::CHexEscape(slice.substr(0, kMostUnitBytes)), "\" ", why));
  };
  absl::string_view name = slice;
  if (!absl::ConsumeSuffix(&name, kSlice) || name.empty()) return bad("is no slice of systemd");
  if (name == "-") return std::string();
  if (slice.size() > kMostUnitBytes) return bad("is longer than a unit's name");
  for (const char c : name) {
    if (!absl::ascii_isalnum(c) && !absl::StrContains("-_.:\\", absl::string_view(&c, 1))) {
      return bad("has a character that no unit's name has");
    }
  }
  std::string path, prefix;
  for (absl::string_view part : absl::StrSplit(name, '-')) {
    if (part.empty()) return bad("has an empty part between its dashes");
    absl::StrAppend(&prefix, prefix.empty() ? "" : "-", part);
    absl::StrAppend(&path, "/", prefix, kSlice);
  }
  return path;
}

}  // namespace

absl::StatusOr<std::string> PodCgroup(CgroupDriver driver, absl::string_view parent, absl::string_view fallback) {
  if (parent.empty()) parent = fallback;
  const std::string path = absl::StartsWith(parent, "/") ? std::string(parent) : absl::StrCat("/", parent);
  RETURN_IF_ERROR(CheckAbsolutePath(path, "linux.cgroup_parent"));
  const absl::string_view last = LastPart(path);
  const bool is_slice = absl::EndsWith(last, kSlice);
  if (driver == CgroupDriver::kSystemd) {
    if (is_slice) return ExpandSlice(last);
    const std::vector<std::string> parts =
        absl::StrSplit(absl::StrReplaceAll(path, {{"-", "_"}}), '/', absl::SkipEmpty());
    return ExpandSlice(parts.empty() ? "-.slice" : absl::StrCat(absl::StrJoin(parts, "-"), kSlice));
  }
  if (is_slice) {
    return absl::FailedPreconditionError(
        absl::StrCat("linux.cgroup_parent is ", last,
                     ": the kubelet's cgroup driver is systemd and Berth's is cgroupfs; "
                     "set cgroup_driver = \"systemd\" in [runtime], or cgroupDriver: cgroupfs in the kubelet's"));
  }
  return path;
}

std::string ContainerCgroup(CgroupDriver driver, absl::string_view pod_cgroup, absl::string_view id) {
  if (driver == CgroupDriver::kSystemd) return absl::StrCat(pod_cgroup, "/", kPrefix, "-", id, ".scope");
  return absl::StrCat(pod_cgroup, "/", id);
}

absl::string_view IdInCgroupName(absl::string_view path) {
  absl::string_view name = LastPart(path);
  if (absl::ConsumeSuffix(&name, ".scope") &&
      (!absl::ConsumePrefix(&name, kPrefix) || !absl::ConsumePrefix(&name, "-")))
    return "";
  return IsId(name) ? name : "";
}

absl::StatusOr<std::string> CgroupsPath(CgroupDriver driver, absl::string_view pod_cgroup, absl::string_view id) {
  const bool is_slice = pod_cgroup.empty() || absl::EndsWith(pod_cgroup, kSlice);
  if (is_slice != (driver == CgroupDriver::kSystemd)) {
    return absl::FailedPreconditionError(absl::StrCat("the pod's cgroup ", pod_cgroup, " was made with another ",
                                                      "cgroup driver than runtime.cgroup_driver; run the pod anew"));
  }
  if (!is_slice) return absl::StrCat(pod_cgroup, "/", id);
  return absl::StrCat(pod_cgroup.empty() ? "-.slice" : LastPart(pod_cgroup), ":", kPrefix, ":", id);
}

}  // namespace berth
