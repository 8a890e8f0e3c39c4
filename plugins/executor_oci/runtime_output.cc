#include "plugins/executor_oci/runtime_output.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "plugins/json/bounded_json.h"

namespace berth::executor_oci {
namespace {

constexpr size_t kMaxVersion = 64;

// crun before 1.8.4 has no `features`: what 1.8.1 was tried with.
constexpr char kOciVersionOfOldCrun[] = "1.0.2";

std::optional<sdk::ExecutorState> StateOf(std::string_view status) {
  if (status == "creating") return sdk::ExecutorState::kCreating;
  if (status == "created") return sdk::ExecutorState::kCreated;
  if (status == "running") return sdk::ExecutorState::kRunning;
  if (status == "paused" || status == "pausing") return sdk::ExecutorState::kPaused;
  if (status == "stopped") return sdk::ExecutorState::kStopped;
  return std::nullopt;
}

// The word after `key` at the beginning of a line; "" if there is none.
std::string WordAfter(std::string_view text, std::string_view key) {
  for (size_t at = text.find(key); at != std::string_view::npos; at = text.find(key, at + 1)) {
    const bool starts_line = at == 0 || text[at - 1] == '\n';
    if (!starts_line) continue;
    const size_t begin = text.find_first_not_of(" :", at + key.size());
    if (begin == std::string_view::npos) return "";
    return std::string(text.substr(begin, std::min(text.find_first_of(" \r\n", begin) - begin, kMaxVersion)));
  }
  return "";
}

bool Has(const std::vector<json::Value>& array, std::string_view text) {
  return std::any_of(array.begin(), array.end(), [&](const json::Value& item) {
    return item.is_string() && item.get_ref<const std::string&>() == text;
  });
}

bool IdMapEnabled(const json::Value& features) {
  const json::Value* at = &features;
  for (const char* key : {"linux", "mountExtensions", "idmap"}) {
    at = json::Member(*at, key);
    if (at == nullptr) return false;
  }
  return json::BoolMember(*at, "enabled", false);
}

}  // namespace

sdk::Result<sdk::ExecutorContainer> ParseState(std::string_view out) {
  BERTH_ASSIGN_OR_RETURN(const json::Value value, json::Parse(out, "state of a container", kMaxOutput));
  const std::string status = json::StringMember(value, "status");
  const auto state = StateOf(status);
  if (!state) return sdk::Internal("state of a container: unknown status \"" + status.substr(0, kMaxVersion) + "\"");
  const uint64_t pid = json::UintMember(value, "pid").value_or(0);
  if (pid > static_cast<uint64_t>(std::numeric_limits<int32_t>::max())) {
    return sdk::Internal("state of a container: pid " + std::to_string(pid));
  }
  const bool lives = *state != sdk::ExecutorState::kStopped;
  return sdk::ExecutorContainer{*state, lives ? static_cast<pid_t>(pid) : 0};
}

sdk::ExecutorFeatures ParseFeatures(std::string_view version_out, std::string_view features_out,
                                    std::string_view binary) {
  sdk::ExecutorFeatures out;
  out.name = std::string(binary.substr(binary.rfind('/') + 1));
  const std::string_view first_line = version_out.substr(0, version_out.find('\n'));
  if (const size_t at = first_line.find(" version"); at != std::string_view::npos && at > 0 && at <= kMaxVersion) {
    out.name = std::string(first_line.substr(0, at));
    out.version = WordAfter(first_line, std::string(first_line.substr(0, at)) + " version");
  }
  const auto parsed = json::Parse(features_out, "features", kMaxOutput);
  if (parsed.ok() && (*parsed).is_object()) {
    out.oci_version_max = json::StringMember(*parsed, "ociVersionMax");
    out.recursive_read_only = Has(json::ArrayMember(*parsed, "mountOptions"), "rro");
    out.id_mapped_mounts = IdMapEnabled(*parsed);
    out.json = std::string(features_out);
  } else if (out.name == "crun") {
    out.oci_version_max = kOciVersionOfOldCrun;
    out.recursive_read_only = true;
  }
  if (out.oci_version_max.empty()) out.oci_version_max = WordAfter(version_out, "spec");
  return out;
}

}  // namespace berth::executor_oci
