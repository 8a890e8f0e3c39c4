// The configuration: one TOML file into typed values. Every key has a default, so an empty file is a configuration.
#ifndef BERTH_CORE_CONFIG_CONFIG_H_
#define BERTH_CORE_CONFIG_CONFIG_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/config/config_value.h"

namespace berth {

// Who makes the cgroups of containers: Berth's executors themselves, or systemd when they ask it to. The kubelet has
// the same setting and must agree; RuntimeConfig tells it.
enum class CgroupDriver : uint8_t { kCgroupfs, kSystemd };

struct RuntimeHandlerConfig {
  std::string executor = "executor_oci";  // the plugin that runs containers of this handler
  std::string snapshotter;                // "": [image] snapshotter
  ConfigValue::Table options;             // every other key of the table: the executor's own configuration
};

struct Config {
  std::string root = "/var/lib/berth";  // what survives a reboot
  std::string state = "/run/berth";     // what does not

  struct Grpc {
    std::string socket = "/run/berth/berth.sock";
    int64_t max_message_bytes = 16 << 20;
    int64_t connection_age_seconds = 30;  // then a client is asked, between two calls, to connect anew
  } grpc;

  struct Admin {
    std::string socket = "/run/berth/admin.sock";  // of the operator's commands
  } admin;

  struct Log {
    std::string level = "info";  // debug, info, warn, error
  } log;

  struct Plugins {
    std::vector<std::string> directories = {"/usr/lib/berth/plugins"};
  } plugins;

  struct Image {
    std::string snapshotter = "snapshot_overlay";
    std::vector<std::string> registries = {"registry_layout", "registry_oci"};  // asked in this order
    int64_t max_parallel_layers = 4;
    int64_t max_layer_bytes = int64_t{64} << 30;  // of one unpacked layer
    int64_t pull_timeout_seconds = 3600;
  } image;

  struct Network {
    std::vector<std::string> hooks = {"network_cni"};  // Setup in this order, Teardown in the reverse
    int64_t timeout_seconds = 120;
  } network;

  struct Pod {
    std::string cgroup_parent = "/berth";  // for pods that name none
    int64_t shm_bytes = 64 << 20;
    int64_t supervisor_timeout_seconds = 30;
    int64_t supervisor_hang_seconds = 60;  // one that is silent for so long, asked all the while, is killed
    bool spare_supervisor = true;          // one is started ahead of the pod that comes next
    bool enable_selinux = false;           // label containers, where the node has SELinux
  } pod;

  struct Container {
    int64_t executor_timeout_seconds = 120;
    int64_t exec_sync_output_bytes = 16 << 20;  // of each of stdout and stderr; the rest is dropped
  } container;

  struct Daemon {
    int64_t worker_threads = 48;  // for calls that wait for the kernel, an executor or a plugin
    int64_t exec_threads = 64;    // ExecSync calls at a time; more of them wait
    int64_t exec_waiting = 2048;  // this many; what comes beyond is refused
  } daemon;

  struct Runtime {
    std::string default_handler = "crun";
    CgroupDriver cgroup_driver = CgroupDriver::kCgroupfs;
    std::map<std::string, RuntimeHandlerConfig> handlers;  // by name; crun and runc when none is given
  } runtime;

  std::map<std::string, ConfigValue::Table> plugin;  // [plugin.NAME]: each plugin's own table
};

// Reads `text`; `file` names it in errors. All faults are reported at once, one a line: file:line: key: what is wrong.
absl::StatusOr<Config> ParseConfig(absl::string_view text, const std::string& file);

// The same from a file of at most 1 MiB. kNotFound if there is none.
absl::StatusOr<Config> LoadConfig(const std::string& path);

// "cgroupfs", "systemd".
const char* CgroupDriverName(CgroupDriver driver);

// The defaults as a commented TOML file: what `berth config default` prints. ParseConfig reads it back to the same.
std::string DefaultConfigText();

}  // namespace berth

#endif  // BERTH_CORE_CONFIG_CONFIG_H_
