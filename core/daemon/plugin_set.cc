#include "core/daemon/plugin_set.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/config/config_json.h"

namespace berth {
namespace {

ConfigValue::Table TableOf(const Config& config, const std::string& plugin) {
  const auto found = config.plugin.find(plugin);
  return found == config.plugin.end() ? ConfigValue::Table() : found->second;
}

absl::StatusOr<Snapshotter*> SnapshotterFor(const Config& config, const std::string& name, Plugins* plugins,
                                            PluginSet* set) {
  if (const auto found = set->snapshotters.find(name); found != set->snapshotters.end()) return found->second.get();
  ConfigValue::Table table = TableOf(config, name);
  // The same plugin may keep snapshots in several places, each under a name of its own.
  std::string plugin = name;
  if (const auto given = table.find("plugin"); given != table.end()) {
    const std::string* text = given->second.As<std::string>();
    if (text == nullptr || text->empty()) {
      return absl::InvalidArgumentError(absl::StrCat("plugin.", name, ".plugin: want the name of a plugin"));
    }
    plugin = *text;
    table.erase(given);
  }
  if (table.count("root") == 0) table["root"].value = absl::StrCat(config.root, "/snapshots/", name);
  auto made = plugins->MakeSnapshotter(plugin, table, name);
  if (!made.ok()) return Annotate(made.status(), absl::StrCat("snapshotter ", name));
  return (set->snapshotters[name] = *std::move(made)).get();
}

// There is one kubelet with one driver: a handler cannot have its own. An executor is told only what is not its
// default.
absl::Status SetCgroupDriver(const Config& config, const std::string& handler, ConfigValue::Table* table) {
  const std::string driver = CgroupDriverName(config.runtime.cgroup_driver);
  const auto own = table->find("cgroup_driver");
  if (own == table->end()) {
    if (config.runtime.cgroup_driver != CgroupDriver::kCgroupfs) (*table)["cgroup_driver"].value = driver;
    return absl::OkStatus();
  }
  const std::string* value = own->second.As<std::string>();
  if (value != nullptr && *value == driver) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("runtime.handlers.", handler,
                                                 ".cgroup_driver is not runtime.cgroup_driver, "
                                                 "which is ",
                                                 driver, " for all; leave it out there"));
}

absl::StatusOr<Handler> MakeHandler(const Config& config, const std::string& name, const RuntimeHandlerConfig& handler,
                                    Plugins* plugins, PluginSet* set) {
  Handler made;
  made.name = name;
  made.snapshotter_name = handler.snapshotter.empty() ? config.image.snapshotter : handler.snapshotter;
  ASSIGN_OR_RETURN(made.snapshotter, SnapshotterFor(config, made.snapshotter_name, plugins, set));
  // The plugin's own table, overlaid by what the handler says.
  ConfigValue::Table table = TableOf(config, handler.executor);
  for (const auto& [key, value] : handler.options) table[key] = value;
  if (table.count("root") == 0) table["root"].value = absl::StrCat(config.state, "/executor/", name);
  RETURN_IF_ERROR(SetCgroupDriver(config, name, &table));
  auto executor = plugins->MakeOciExecutor(handler.executor, table, name);
  if (!executor.ok()) return Annotate(executor.status(), absl::StrCat("executor of runtime handler ", name));
  made.executor = (set->executors[name] = *std::move(executor)).get();
  return made;
}

}  // namespace

absl::StatusOr<PluginSet> MakePlugins(const Config& config, Plugins* plugins) {
  PluginSet set;
  set.handlers.default_name = config.runtime.default_handler;
  for (const auto& [name, handler] : config.runtime.handlers) {
    auto made = MakeHandler(config, name, handler, plugins, &set);
    if (made.ok()) {
      set.handlers.by_name.emplace(name, *made);
    } else if (name == config.runtime.default_handler) {
      return made.status();
    } else {
      LogError("runtime handler left out", {{"handler", name}, {"error", made.status().message()}});
    }
  }
  for (const std::string& name : config.network.hooks) {
    ConfigValue::Table table = TableOf(config, name);
    auto hook = plugins->MakeNetworkHook(name, table);
    if (!hook.ok()) return Annotate(hook.status(), absl::StrCat("network hook ", name));
    set.hooks.push_back({name, hook->get()});
    set.network_hooks.push_back(*std::move(hook));
  }
  for (const std::string& unknown : plugins->UnknownKeys()) LogWarn("configuration of a plugin", {{"fault", unknown}});
  return set;
}

std::vector<RegistryInstance> RegistryInstances(const Config& config) {
  std::vector<RegistryInstance> instances;
  for (const std::string& name : config.image.registries) {
    instances.push_back({name, ToJson(TableOf(config, name))});
  }
  return instances;
}

}  // namespace berth
