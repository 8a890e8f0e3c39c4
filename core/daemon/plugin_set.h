// The plugin instances that a configuration asks for.
#ifndef BERTH_CORE_DAEMON_PLUGIN_SET_H_
#define BERTH_CORE_DAEMON_PLUGIN_SET_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/config/config.h"
#include "core/image/worker_process.h"
#include "core/plugin/plugins.h"
#include "core/pod/handler.h"
#include "core/pod/pod_network.h"

namespace berth {

struct PluginSet {
  std::map<std::string, std::unique_ptr<Snapshotter>> snapshotters;  // by plugin name
  std::map<std::string, std::unique_ptr<OciExecutor>> executors;     // by runtime handler
  std::vector<std::unique_ptr<NetworkHook>> network_hooks;
  std::vector<NamedHook> hooks;
  Handlers handlers;
};

// A runtime handler whose executor cannot be made is logged and left out: the others work. Without the default handler,
// a snapshotter or a network hook there is no runtime, and the error names what is missing.
absl::StatusOr<PluginSet> MakePlugins(const Config& config, Plugins* plugins);

// Registries run in the pull worker: this is what it is told of them.
std::vector<RegistryInstance> RegistryInstances(const Config& config);

}  // namespace berth

#endif  // BERTH_CORE_DAEMON_PLUGIN_SET_H_
