#include "core/cri/config_info.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "core/config/config_json.h"
#include "core/cri/message_json.h"

namespace berth {
namespace {

using nlohmann::json;

bool SoundsSecret(const std::string& key) {
  const std::string lower = absl::AsciiStrToLower(key);
  for (const char* word : {"password", "passwd", "secret", "token", "auth", "credential", "private"}) {
    if (absl::StrContains(lower, word)) return true;
  }
  return false;
}

void Hide(json& value) {
  if (!value.is_structured()) return;
  for (auto item = value.begin(); item != value.end(); ++item) {
    if (value.is_object() && SoundsSecret(item.key())) {
      *item = "(hidden)";
    } else {
      Hide(*item);
    }
  }
}

json Table(const ConfigValue::Table& table) {
  json value = ParsedOrText(ToJson(table));
  Hide(value);
  return value;
}

}  // namespace

json ConfigInfo(const Config& config) {
  json handlers = json::object(), plugins = json::object();
  for (const auto& [name, handler] : config.runtime.handlers) {
    handlers[name] = {
        {"executor", handler.executor}, {"snapshotter", handler.snapshotter}, {"options", Table(handler.options)}};
  }
  for (const auto& [name, table] : config.plugin) plugins[name] = Table(table);
  return {{"root", config.root},
          {"state", config.state},
          {"grpc", {{"socket", config.grpc.socket}, {"max_message_bytes", config.grpc.max_message_bytes}}},
          {"log", {{"level", config.log.level}}},
          {"plugins", {{"directories", config.plugins.directories}}},
          {"image",
           {{"snapshotter", config.image.snapshotter},
            {"registries", config.image.registries},
            {"max_parallel_layers", config.image.max_parallel_layers},
            {"max_layer_bytes", config.image.max_layer_bytes},
            {"pull_timeout_seconds", config.image.pull_timeout_seconds}}},
          {"network", {{"hooks", config.network.hooks}, {"timeout_seconds", config.network.timeout_seconds}}},
          {"pod",
           {{"cgroup_parent", config.pod.cgroup_parent},
            {"shm_bytes", config.pod.shm_bytes},
            {"supervisor_timeout_seconds", config.pod.supervisor_timeout_seconds},
            {"enable_selinux", config.pod.enable_selinux}}},
          {"container",
           {{"executor_timeout_seconds", config.container.executor_timeout_seconds},
            {"exec_sync_output_bytes", config.container.exec_sync_output_bytes}}},
          {"runtime",
           {{"default_handler", config.runtime.default_handler},
            {"cgroup_driver", CgroupDriverName(config.runtime.cgroup_driver)},
            {"handlers", handlers}}},
          {"plugin", plugins}};
}

}  // namespace berth
