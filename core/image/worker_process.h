// Starting and ending a pull worker: the daemon's hold on the process that does a pull.
#ifndef BERTH_CORE_IMAGE_WORKER_PROCESS_H_
#define BERTH_CORE_IMAGE_WORKER_PROCESS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/unique_fd.h"

namespace berth {

// One [plugin.NAME] table as the worker needs it.
struct RegistryInstance {
  std::string name;         // of the plugin: "registry_layout" is registry_layout.so in a plugin directory
  std::string config_json;  // its configuration: ToJson() of core/config/config_json.h
};

// A started worker. Destroying it ends the worker, whatever it is doing, and waits until it is gone: after that nobody
// writes into the layers' directories any more.
class Worker {
 public:
  virtual ~Worker() = default;
  // The daemon's end of the socket to it. Borrowed.
  virtual int socket() const = 0;
};

using WorkerLauncher = std::function<absl::StatusOr<std::unique_ptr<Worker>>()>;

// Starts `argv` ({"/proc/self/exe", "pull-worker"}; argv[0] is a path) in a process group of its own with its end of
// the socket as descriptor 3 (kWorkerControlFd), /dev/null as standard input and the daemon's standard error.
inline constexpr int kWorkerControlFd = 3;
WorkerLauncher LaunchWorkerProcess(std::vector<std::string> argv);

// The same protocol on a thread of this process: for tests. `run` gets the worker's end and returns when it is closed.
WorkerLauncher LaunchWorkerThread(std::function<void(UniqueFd)> run);

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_WORKER_PROCESS_H_
