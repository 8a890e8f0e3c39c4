#include "core/config/config.h"

#include <algorithm>
#include <exception>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/base/utf8.h"
#include "core/config/toml_reader.h"

namespace berth {
namespace {

constexpr uint64_t kMostBytes = 1 << 20;
constexpr int kMostNesting = 32;

// toml11 descends once per bracket: a file of brackets would exhaust the stack.
bool NestsTooDeep(absl::string_view text) {
  int depth = 0;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      quote = 0;
    } else if (quote != 0) {
      if (c == '\\' && quote == '"') ++i;
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '#') {
      while (i + 1 < text.size() && text[i + 1] != '\n') ++i;
    } else if (c == '[' || c == '{') {
      if (++depth > kMostNesting) return true;
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return false;
}

void ReadHandlers(TomlReader& runtime, Config* config) {
  runtime.Read("default_handler", &config->runtime.default_handler);
  runtime.ReadTable("handlers", [&](TomlReader& handlers) {
    handlers.ReadTables([&](const std::string& name, TomlReader& table) {
      RuntimeHandlerConfig handler;
      table.Read("executor", &handler.executor);
      table.Read("snapshotter", &handler.snapshotter);
      handler.options = table.TakeRest();
      config->runtime.handlers.emplace(name, std::move(handler));
    });
  });
}

void ReadCgroupDriver(TomlReader& runtime, Config* config) {
  std::string name = CgroupDriverName(CgroupDriver::kCgroupfs);
  const std::string systemd = CgroupDriverName(CgroupDriver::kSystemd);
  runtime.ReadOneOf("cgroup_driver", {name, systemd}, &name);
  config->runtime.cgroup_driver = name == systemd ? CgroupDriver::kSystemd : CgroupDriver::kCgroupfs;
}

void AddStandardHandlers(Config* config) {
  if (!config->runtime.handlers.empty()) return;
  config->runtime.handlers["crun"].options["binary"].value = std::string("/usr/bin/crun");
  config->runtime.handlers["runc"].options["binary"].value = std::string("/usr/sbin/runc");
}

void ReadAll(TomlReader& top, Config* config) {
  constexpr int64_t kDay = 86400;
  top.ReadPath("root", &config->root);
  top.ReadPath("state", &config->state);
  config->grpc.socket = config->state + "/berth.sock";
  config->admin.socket = config->state + "/admin.sock";
  top.ReadTable("grpc", [&](TomlReader& t) {
    t.ReadPath("socket", &config->grpc.socket);
    t.ReadInt("max_message_bytes", 1 << 20, 256 << 20, &config->grpc.max_message_bytes);
    // Less than events are kept for: see Daemon::Retire.
    t.ReadInt("connection_age_seconds", 1, 90, &config->grpc.connection_age_seconds);
  });
  top.ReadTable("admin", [&](TomlReader& t) { t.ReadPath("socket", &config->admin.socket); });
  top.ReadTable("log", [&](TomlReader& t) { t.Read("level", &config->log.level); });
  top.ReadTable("plugins", [&](TomlReader& t) { t.Read("directories", &config->plugins.directories); });
  top.ReadTable("image", [&](TomlReader& t) {
    t.Read("snapshotter", &config->image.snapshotter);
    t.Read("registries", &config->image.registries);
    t.ReadInt("max_parallel_layers", 1, 64, &config->image.max_parallel_layers);
    t.ReadInt("max_layer_bytes", 1, INT64_MAX, &config->image.max_layer_bytes);
    t.ReadInt("pull_timeout_seconds", 1, 7 * kDay, &config->image.pull_timeout_seconds);
  });
  top.ReadTable("network", [&](TomlReader& t) {
    t.Read("hooks", &config->network.hooks);
    t.ReadInt("timeout_seconds", 1, kDay, &config->network.timeout_seconds);
  });
  top.ReadTable("pod", [&](TomlReader& t) {
    t.ReadPath("cgroup_parent", &config->pod.cgroup_parent);
    t.ReadInt("shm_bytes", 4096, INT64_MAX, &config->pod.shm_bytes);
    t.ReadInt("supervisor_timeout_seconds", 1, kDay, &config->pod.supervisor_timeout_seconds);
    t.ReadInt("supervisor_hang_seconds", 1, kDay, &config->pod.supervisor_hang_seconds);
    t.Read("spare_supervisor", &config->pod.spare_supervisor);
    t.Read("enable_selinux", &config->pod.enable_selinux);
  });
  top.ReadTable("container", [&](TomlReader& t) {
    t.ReadInt("executor_timeout_seconds", 1, kDay, &config->container.executor_timeout_seconds);
    t.ReadInt("exec_sync_output_bytes", 1, 64 << 20, &config->container.exec_sync_output_bytes);
  });
  top.ReadTable("daemon", [&](TomlReader& t) {
    t.ReadInt("worker_threads", 2, 1024, &config->daemon.worker_threads);
    t.ReadInt("exec_threads", 1, 1024, &config->daemon.exec_threads);
    t.ReadInt("exec_waiting", 0, 8192, &config->daemon.exec_waiting);
  });
  top.ReadTable("runtime", [&](TomlReader& t) {
    ReadCgroupDriver(t, config);
    ReadHandlers(t, config);
  });
  top.ReadTable("plugin", [&](TomlReader& t) {
    t.ReadTables([&](const std::string& name, TomlReader& table) { config->plugin[name] = table.TakeRest(); });
  });
  top.ReportUnknown();
  AddStandardHandlers(config);
}

void CheckMeaning(const Config& config, const std::string& file, std::vector<std::string>* faults) {
  const std::vector<std::string> levels = {"debug", "info", "warn", "error"};
  if (std::find(levels.begin(), levels.end(), config.log.level) == levels.end()) {
    faults->push_back(
        absl::StrCat(file, ": log.level: ", config.log.level, " is none of ", absl::StrJoin(levels, ", ")));
  }
  if (config.runtime.handlers.count(config.runtime.default_handler) == 0) {
    faults->push_back(absl::StrCat(file, ": runtime.default_handler: there is no [runtime.handlers.",
                                   config.runtime.default_handler, "]"));
  }
  // sun_path holds 108 bytes, and a path beyond is cut by nobody but refused by bind(2) much later.
  if (config.grpc.socket.size() > 107) {
    faults->push_back(absl::StrCat(file, ": grpc.socket: longer than 107 bytes, the most a unix socket can have"));
  }
  if (config.state.size() > 60) {
    // The longest name below is a pod's socket, with a 64-digit id relative to a descriptor; the rest is ours.
    faults->push_back(absl::StrCat(file, ": state: longer than 60 bytes"));
  }
}

}  // namespace

absl::StatusOr<Config> ParseConfig(absl::string_view text, const std::string& file) {
  if (text.size() > kMostBytes) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": larger than ", kMostBytes, " bytes"));
  }
  if (NestsTooDeep(text)) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": nested deeper than ", kMostNesting, " brackets"));
  }
  // toml11 3.7 reads beyond its buffer when it reports such a string.
  if (const size_t at = FirstNotUtf8(text); at < text.size()) {
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(at), '\n');
    return absl::InvalidArgumentError(absl::StrCat(file, ":", line, ": not UTF-8, as TOML has to be"));
  }
  Config config;
  std::vector<std::string> faults;
  try {
    std::istringstream stream{std::string(text)};
    const toml::value root = toml::parse(stream, file);
    TomlReader top(root, "", file, &faults);
    ReadAll(top, &config);
  } catch (const toml::syntax_error& e) {
    return absl::InvalidArgumentError(absl::StrCat(file, ":", e.location().line(), ": not TOML: ", e.what()));
  } catch (const std::exception& e) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": not TOML: ", e.what()));
  }
  CheckMeaning(config, file, &faults);
  if (!faults.empty()) return absl::InvalidArgumentError(absl::StrJoin(faults, "\n"));
  return config;
}

absl::StatusOr<Config> LoadConfig(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMostBytes));
  return ParseConfig(text, path);
}

const char* CgroupDriverName(CgroupDriver driver) { return driver == CgroupDriver::kSystemd ? "systemd" : "cgroupfs"; }

std::string DefaultConfigText() {
  return R"(# Berth's configuration. Every key is optional; the values here are the defaults.

root = "/var/lib/berth"  # images, snapshots, metadata: survives a reboot
state = "/run/berth"     # sockets, supervisors, bundles: does not

[grpc]
# Where the kubelet connects: --container-runtime-endpoint=unix:///run/berth/berth.sock. The default is inside `state`.
socket = "/run/berth/berth.sock"
max_message_bytes = 16777216
# A client is asked, between two calls, to connect anew after so long: it then finds the daemon that an upgrade has put
# in this one's place, which goes as soon as its last client has.
connection_age_seconds = 30

[admin]
socket = "/run/berth/admin.sock"  # of `berth upgrade` and `berth status`: root only. The default is inside `state`.

[log]
level = "info"  # debug, info, warn, error

[plugins]
# Searched for *.so. A plugin belongs to root and is writable by nobody else.
directories = ["/usr/lib/berth/plugins"]

[image]
snapshotter = "snapshot_overlay"
registries = ["registry_layout", "registry_oci"]  # asked in this order until one knows the image
max_parallel_layers = 4                           # of one pull
max_layer_bytes = 68719476736                     # of one layer, unpacked
pull_timeout_seconds = 3600

[network]
hooks = ["network_cni"]  # set up in this order, torn down in the reverse
timeout_seconds = 120

[pod]
cgroup_parent = "/berth"  # for pods that name none; with systemd's cgroups that is berth.slice
shm_bytes = 67108864      # size of /dev/shm
supervisor_timeout_seconds = 30
supervisor_hang_seconds = 60  # one that is silent for so long, and asked all the while, is killed with its pod
spare_supervisor = true       # start one ahead of the pod that comes next, `for-the-next-pod`
enable_selinux = false        # label containers and their files; without it what asks for a label gets none

[container]
executor_timeout_seconds = 120
exec_sync_output_bytes = 16777216  # of each of stdout and stderr; the rest is dropped

[daemon]
worker_threads = 48  # the most at a time; idle ones end
exec_threads = 64    # ExecSync calls at a time; more of them wait
exec_waiting = 2048  # this many; what comes beyond is refused with RESOURCE_EXHAUSTED

[runtime]
default_handler = "crun"
# "systemd" where systemd runs and the kubelet has cgroupDriver: systemd. Changed while no pods run.
cgroup_driver = "cgroupfs"

# One table for each runtime handler (a RuntimeClass names it). Its `snapshotter` is that of [image] unless it names another;
# keys beside `executor` and `snapshotter` are the executor's.
[runtime.handlers.crun]
executor = "executor_oci"
binary = "/usr/bin/crun"

[runtime.handlers.runc]
executor = "executor_oci"
binary = "/usr/sbin/runc"

# [plugin.NAME] is the table of the plugin NAME: see the README beside each plugin. A snapshotter may have any name, and say
# its plugin: [plugin.fast] with plugin = "snapshot_overlay" and root = "/fast/snapshots".
)";
}

}  // namespace berth
