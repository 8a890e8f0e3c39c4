// Plugins: the one way into them. Finds modules by name, loads each once, and makes instances of what they implement.
//
// The module NAME is the file NAME.so in the first of the directories that has one. Nothing is loaded before it is
// asked for: the daemon carries only what it uses.
#ifndef BERTH_CORE_PLUGIN_PLUGINS_H_
#define BERTH_CORE_PLUGIN_PLUGINS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/config/config_value.h"
#include "core/plugin/host.h"
#include "core/plugin/image_registry.h"
#include "core/plugin/network_hook.h"
#include "core/plugin/oci_executor.h"
#include "core/plugin/snapshotter.h"

namespace berth {

struct ModuleInfo {
  std::string path, name, version;
  std::vector<std::string> kinds;  // "snapshotter", "image registry", "network hook", "OCI executor"
};

struct ModuleFailure {
  std::string path;
  absl::Status status;  // which rule it breaks
};

// Thread-safe. Outlives the instances made with it.
class Plugins {
 public:
  Plugins(std::vector<std::string> directories, HostServices services);
  // Calls the modules' shutdown. Code stays mapped: a thread of a plugin's may still run in it.
  ~Plugins();
  Plugins(const Plugins&) = delete;
  Plugins& operator=(const Plugins&) = delete;

  // An instance of the module `name`, configured by `config`, that calls itself `instance` in logs and metrics ("": as
  // the module). One module may have many instances. kNotFound: no such file, or the module has no such kind;
  // kFailedPrecondition: the file breaks a rule of the loader; or what the plugin's own create() answered.
  // Keys of `config` that the plugin did not read are logged and kept for UnknownKeys.
  absl::StatusOr<std::unique_ptr<Snapshotter>> MakeSnapshotter(const std::string& name,
                                                               const ConfigValue::Table& config,
                                                               const std::string& instance = "");
  absl::StatusOr<std::unique_ptr<ImageRegistry>> MakeImageRegistry(const std::string& name,
                                                                   const ConfigValue::Table& config,
                                                                   const std::string& instance = "");
  absl::StatusOr<std::unique_ptr<NetworkHook>> MakeNetworkHook(const std::string& name,
                                                               const ConfigValue::Table& config,
                                                               const std::string& instance = "");
  absl::StatusOr<std::unique_ptr<OciExecutor>> MakeOciExecutor(const std::string& name,
                                                               const ConfigValue::Table& config,
                                                               const std::string& instance = "");

  // Loads every file *.so of the directories, for the operator to look at.
  void LoadAll();
  std::vector<ModuleInfo> Loaded() const;
  std::vector<ModuleFailure> Failures() const;
  // "INSTANCE: unknown key KEY", of all instances made so far.
  std::vector<std::string> UnknownKeys() const;

  // Tells the modules that no operation will be started any more.
  void Drain();

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace berth

#endif  // BERTH_CORE_PLUGIN_PLUGINS_H_
