// OCI executor: turns a bundle (runtime-spec bundle.md) into a running container.
//
// An executor that runs a command line (crun, runc) has the capability kSupervised: it starts its commands with
// SupervisorService::Run, in the pod's supervisor, which owns mounts, standard streams and exit codes, so that these
// outlive the daemon. Its exits reach the core from the supervisor; on_exit is for executors without it (a VM).
#ifndef BERTH_CORE_PLUGIN_OCI_EXECUTOR_H_
#define BERTH_CORE_PLUGIN_OCI_EXECUTOR_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/unique_fd.h"
#include "core/plugin/call.h"

namespace berth {

enum ExecutorCapability : uint64_t {
  kSupervised = 1,  // containers are children of the pod's supervisor
  kSandbox = 2,     // StartSandbox etc. are to be called: it owns a machine
  kCheckpoint = 4,
};

struct ContainerRequest {
  std::string id, pod_id;
  std::string bundle;          // absolute; config.json is in it
  std::string pid_file;        // absolute; the executor's command writes the container's pid there
  std::string console_socket;  // absolute; "" without a tty
};

struct ExecRequest {
  std::string container_id, exec_id, pod_id;
  std::string process_file;  // absolute; a runtime-spec `process` object
  std::string pid_file, console_socket;
};

enum class ExecutorState : int32_t { kCreating = 0, kCreated = 1, kRunning = 2, kPaused = 3, kStopped = 4 };

struct ExecutorContainer {
  ExecutorState state = ExecutorState::kStopped;
  pid_t pid = 0;
};

struct ExecutorFeatures {
  std::string name, version;    // "crun", "1.8.1"
  std::string oci_version_max;  // highest ociVersion it accepts; "" unknown
  bool id_mapped_mounts = false;
  bool recursive_read_only = false;
  std::string json;  // `features` output as of runtime-spec features.md; "" when it has none
};

struct ContainerExit {
  int wait_status = 0;
  int64_t at_unix_ns = 0;
};

// Of a container in a machine of its own: what the host cannot read from its cgroup.
struct ExecutorStats {
  int64_t at_unix_ns = 0;
  uint64_t cpu_ns = 0;                                                              // since the container started
  uint64_t memory_bytes = 0, memory_working_set_bytes = 0, memory_limit_bytes = 0;  // limit 0: none
  uint64_t pids = 0;
};

struct CheckpointRequest {
  ContainerRequest container;
  std::string image_directory;  // absolute, exists: written by Checkpoint, read by Restore
  std::string work_directory;   // absolute, exists: for logs
  bool leave_running = false;
};

struct SandboxRequest {
  std::string pod_id;
  std::string directory;  // the pod's under the state directory
  std::string netns_path, cgroup_path;
  int netns_fd = -1;  // borrowed; -1: the host's network, or gone
  std::map<std::string, std::string> annotations;
};

struct ResizeRequest {
  std::string pod_id, container_id, exec_id;  // exec_id "": the container itself
  uint16_t columns = 0, rows = 0;
};

class OciExecutor {
 public:
  virtual ~OciExecutor() = default;

  virtual uint64_t capabilities() const = 0;
  virtual absl::StatusOr<ExecutorFeatures> Features(const Call& call) = 0;

  using OnExit = std::function<void(const ContainerExit&)>;
  // Answers the pid of the container's first process, which waits for Start. All or nothing.
  virtual absl::StatusOr<pid_t> Create(const Call& call, const ContainerRequest& request, OnExit on_exit) = 0;
  virtual absl::Status Start(const Call& call, const ContainerRequest& request) = 0;
  // `all`: every process of the container, not only the first. OK when there is none any more.
  virtual absl::Status Kill(const Call& call, const ContainerRequest& request, int signal, bool all) = 0;
  // Removes all traces, killing what still runs. Idempotent; OK for a container it never knew.
  virtual absl::Status Delete(const Call& call, const ContainerRequest& request) = 0;
  // Answers the pid of the new process.
  virtual absl::StatusOr<pid_t> Exec(const Call& call, const ExecRequest& request, OnExit on_exit) = 0;
  // `resources_json`: runtime-spec linux.resources. What it does not name stays as it is.
  virtual absl::Status Update(const Call& call, const ContainerRequest& request, const std::string& resources_json) = 0;
  virtual absl::Status Pause(const Call& call, const ContainerRequest& request) = 0;
  virtual absl::Status Resume(const Call& call, const ContainerRequest& request) = 0;
  virtual absl::StatusOr<ExecutorContainer> State(const Call& call, const ContainerRequest& request) = 0;
  // After a restart of the daemon: go on reporting exits of a container created before. kUnimplemented if kSupervised.
  virtual absl::Status Reattach(const Call& call, const ContainerRequest& request, OnExit on_exit) = 0;

  virtual absl::StatusOr<ExecutorStats> Stats(const Call&, const ContainerRequest&) { return Cannot("report stats"); }
  virtual absl::Status Resize(const Call&, const ResizeRequest&) { return Cannot("resize a terminal"); }
  // With kCheckpoint. Restore answers the pid of a container that runs.
  virtual absl::Status Checkpoint(const Call&, const CheckpointRequest&) { return Cannot("checkpoint"); }
  virtual absl::StatusOr<pid_t> Restore(const Call&, const CheckpointRequest&, OnExit) { return Cannot("restore"); }
  // With kSandbox: around the pod's containers. Stop and Remove are idempotent.
  virtual absl::Status StartSandbox(const Call&, const SandboxRequest&) { return Cannot("start a sandbox"); }
  virtual absl::Status StopSandbox(const Call&, const SandboxRequest&) { return Cannot("stop a sandbox"); }
  virtual absl::Status RemoveSandbox(const Call&, const SandboxRequest&) { return Cannot("remove a sandbox"); }
  // A connected stream socket to a TCP port inside the machine.
  virtual absl::StatusOr<UniqueFd> PortForward(const Call&, const std::string& /*pod_id*/, uint16_t /*port*/) {
    return Cannot("forward a port");
  }

 private:
  static absl::Status Cannot(const char* what) {
    return absl::UnimplementedError(std::string("this executor cannot ") + what);
  }
};

// What a supervised executor has done for it by the host: a command in the pod's supervisor.
struct SupervisedCommand {
  enum class Purpose : int32_t {
    kPlain = 0,   // wait for it, capture its output
    kCreate = 1,  // in the mount namespace prepared for the container, with the container's standard streams
    kExec = 2,    // with the standard streams prepared for the exec
  };
  Purpose purpose = Purpose::kPlain;
  std::string pod_id, container_id, exec_id;
  std::vector<std::string> argv, env;
  std::string pid_file;  // kCreate, kExec: read once the command has ended
};

struct SupervisedResult {
  int wait_status = 0;
  pid_t pid = 0;         // from pid_file; 0: none was written
  std::string out, err;  // what the command itself printed, tails of at most 16 KiB
};

class SupervisorService {
 public:
  virtual ~SupervisorService() = default;
  virtual absl::StatusOr<SupervisedResult> Run(const Call& call, const SupervisedCommand& command) = 0;
};

}  // namespace berth

#endif  // BERTH_CORE_PLUGIN_OCI_EXECUTOR_H_
