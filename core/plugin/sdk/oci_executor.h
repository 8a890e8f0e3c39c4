// Write an OCI executor: derive from OciExecutor, take a Host in the constructor, and end the file with
// BERTH_OCI_EXECUTOR_PLUGIN("name", "1.0.0", Type);
//
// One that runs a command line (crun, runc) has the capability kSupervised and starts its commands with
// Host::RunSupervised; exits are then seen by the pod's supervisor and on_exit is empty. Any thread, never two
// operations on one container at once but Kill and State. berth/abi/executor.h is the whole contract.
#ifndef BERTH_SDK_OCI_EXECUTOR_H_
#define BERTH_SDK_OCI_EXECUTOR_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "berth/abi/executor.h"
#include "berth/sdk/call.h"
#include "berth/sdk/host.h"
#include "berth/sdk/internal.h"
#include "berth/sdk/module.h"
#include "berth/sdk/status.h"
#include "berth/sdk/unique_fd.h"

namespace berth::sdk {

enum ExecutorCapability : uint64_t {
  kSupervised = BERTH_EXECUTOR_SUPERVISED,  // containers are children of the pod's supervisor
  kSandbox = BERTH_EXECUTOR_SANDBOX,        // StartSandbox etc. are to be called: it owns a machine
  kCheckpoint = BERTH_EXECUTOR_CHECKPOINT,
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

enum class ExecutorState : int32_t {
  kCreating = BERTH_EXECUTOR_CREATING,
  kCreated = BERTH_EXECUTOR_CREATED,
  kRunning = BERTH_EXECUTOR_RUNNING,
  kPaused = BERTH_EXECUTOR_PAUSED,
  kStopped = BERTH_EXECUTOR_STOPPED,
};

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

struct ContainerStats {
  int64_t at_unix_ns = 0;
  uint64_t cpu_ns = 0;                                                              // since the container started
  uint64_t memory_bytes = 0, memory_working_set_bytes = 0, memory_limit_bytes = 0;  // limit 0: none
  uint64_t pids = 0;
};

struct CheckpointRequest {
  ContainerRequest container;
  std::string image_directory;  // written by Checkpoint, read by Restore
  std::string work_directory;   // for logs
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

// Empty where nobody waits, else to be called exactly once if the operation succeeded; from any thread, even before it
// has returned, even after the plugin's instance was destroyed.
using OnExit = std::function<void(const ContainerExit&)>;

class OciExecutor {
 public:
  virtual ~OciExecutor() = default;

  virtual uint64_t capabilities() const = 0;
  virtual Result<ExecutorFeatures> Features(const Call& call) = 0;

  // Answers the pid of the container's first process, which waits for Start. All or nothing.
  virtual Result<pid_t> Create(const Call& call, const ContainerRequest& request, OnExit on_exit) = 0;
  virtual Status Start(const Call& call, const ContainerRequest& request) = 0;
  // `all`: every process of the container, not only the first. OK when there is none any more.
  virtual Status Kill(const Call& call, const ContainerRequest& request, int signal, bool all) = 0;
  // Removes all traces, killing what still runs. Idempotent; OK for a container it never knew.
  virtual Status Delete(const Call& call, const ContainerRequest& request) = 0;
  // Answers the pid of the new process.
  virtual Result<pid_t> Exec(const Call& call, const ExecRequest& request, OnExit on_exit) = 0;
  // kNotFound for a container it does not know.
  virtual Result<ExecutorContainer> State(const Call& call, const ContainerRequest& request) = 0;

  // What not every executor can do.
  // `resources_json`: runtime-spec linux.resources. What it does not name stays as it is.
  virtual Status Update(const Call&, const ContainerRequest&, const std::string& /*resources_json*/) {
    return Cannot("update resources");
  }
  virtual Status Pause(const Call&, const ContainerRequest&) { return Cannot("pause"); }
  virtual Status Resume(const Call&, const ContainerRequest&) { return Cannot("resume"); }
  // Of a container in a machine of its own; the host reads cgroups itself.
  virtual Result<ContainerStats> Stats(const Call&, const ContainerRequest&) { return Cannot("report stats"); }
  virtual Status Resize(const Call&, const ResizeRequest&) { return Cannot("resize a terminal"); }
  // After a restart of the daemon: go on reporting the exit of a container created before.
  virtual Status Reattach(const Call&, const ContainerRequest&, OnExit) { return Cannot("reattach"); }
  virtual Status Checkpoint(const Call&, const CheckpointRequest&) { return Cannot("checkpoint"); }
  virtual Result<pid_t> Restore(const Call&, const CheckpointRequest&, OnExit) { return Cannot("restore"); }

  // With kSandbox: around the pod's containers. Stop and Remove are idempotent.
  virtual Status StartSandbox(const Call&, const SandboxRequest&) { return Cannot("start a sandbox"); }
  virtual Status StopSandbox(const Call&, const SandboxRequest&) { return Cannot("stop a sandbox"); }
  virtual Status RemoveSandbox(const Call&, const SandboxRequest&) { return Cannot("remove a sandbox"); }
  // A connected stream socket to a TCP port inside the machine.
  virtual Result<UniqueFd> PortForward(const Call&, const std::string& /*pod_id*/, uint16_t /*port*/) {
    return Cannot("forward a port");
  }

 private:
  static Status Cannot(const char* what) { return Unimplemented(std::string("this executor cannot ") + what); }
};

namespace internal {

inline ContainerRequest ToRequest(const berth_container_request* r) {
  return {String(r->id), String(r->pod_id), String(r->bundle), String(r->pid_file), String(r->console_socket)};
}
inline ExecRequest ToRequest(const berth_exec_request* r) {
  return {String(r->container_id), String(r->exec_id),  String(r->pod_id),
          String(r->process_file), String(r->pid_file), String(r->console_socket)};
}
inline CheckpointRequest ToRequest(const berth_checkpoint_request* r) {
  return {ToRequest(r->container), String(r->image_directory), String(r->work_directory), r->leave_running != 0};
}
inline SandboxRequest ToRequest(const berth_sandbox_request* r) {
  return {String(r->pod_id),      String(r->directory), String(r->netns_path),
          String(r->cgroup_path), r->netns_fd,          Map(r->annotations, r->annotation_count)};
}
inline ResizeRequest ToRequest(const berth_resize_request* r) {
  return {String(r->pod_id), String(r->container_id), String(r->exec_id), r->columns, r->rows};
}

inline OnExit ToOnExit(const berth_exit_watch* watch) {
  if (watch == nullptr || watch->on_exit == nullptr) return {};
  return [ctx = watch->ctx, on_exit = watch->on_exit](const ContainerExit& e) {
    const berth_container_exit raw{sizeof(raw), e.wait_status, e.at_unix_ns};
    on_exit(ctx, &raw);
  };
}

// The C functions of one plugin class.
template <class T>
struct ExecutorFunctions {
  static T& Self(void* self) { return *static_cast<T*>(self); }

  static int32_t Create(const berth_host* host, void** out, berth_error* err) noexcept {
    return Guard(err, [&] {
      *out = new T(Host(host));
      return Status();
    });
  }
  static void Destroy(void* self) noexcept { delete static_cast<T*>(self); }
  static uint64_t Capabilities(void* self) noexcept {
    return GuardedOr(uint64_t{0}, [&] { return Self(self).capabilities(); });
  }
  static int32_t Features(void* self, const berth_call* call, const berth_executor_features_sink* out,
                          berth_error* err) noexcept {
    return Guard(err, [&]() -> Status {
      BERTH_ASSIGN_OR_RETURN(const ExecutorFeatures f, Self(self).Features(ToCall(call)));
      const berth_executor_features raw{sizeof(raw),
                                        f.id_mapped_mounts ? 1u : 0u,
                                        f.recursive_read_only ? 1u : 0u,
                                        0,
                                        Str(f.name),
                                        Str(f.version),
                                        Str(f.oci_version_max),
                                        Str(f.json)};
      out->put(out->ctx, &raw);
      return {};
    });
  }
  static int32_t CreateContainer(void* self, const berth_call* call, const berth_container_request* request,
                                 const berth_exit_watch* watch, int64_t* pid, berth_error* err) noexcept {
    return Guard(err, [&]() -> Status {
      BERTH_ASSIGN_OR_RETURN(*pid, Self(self).Create(ToCall(call), ToRequest(request), ToOnExit(watch)));
      return {};
    });
  }
  static int32_t StartContainer(void* self, const berth_call* call, const berth_container_request* request,
                                berth_error* err) noexcept {
    return Guard(err, [&] { return Self(self).Start(ToCall(call), ToRequest(request)); });
  }
  static int32_t Kill(void* self, const berth_call* call, const berth_container_request* request, int32_t sig,
                      int32_t all, berth_error* err) noexcept {
    return Guard(err, [&] { return Self(self).Kill(ToCall(call), ToRequest(request), sig, all != 0); });
  }
  static int32_t DeleteContainer(void* self, const berth_call* call, const berth_container_request* request,
                                 berth_error* err) noexcept {
    return Guard(err, [&] { return Self(self).Delete(ToCall(call), ToRequest(request)); });
  }
  static int32_t Exec(void* self, const berth_call* call, const berth_exec_request* request,
                      const berth_exit_watch* watch, int64_t* pid, berth_error* err) noexcept {
    return Guard(err, [&]() -> Status {
      BERTH_ASSIGN_OR_RETURN(*pid, Self(self).Exec(ToCall(call), ToRequest(request), ToOnExit(watch)));
      return {};
    });
  }
  static int32_t Update(void* self, const berth_call* call, const berth_container_request* request,
                        berth_str resources_json, berth_error* err) noexcept {
    return Guard(err, [&] { return Self(self).Update(ToCall(call), ToRequest(request), String(resources_json)); });
  }
  static int32_t Pause(void* self, const berth_call* call, const berth_container_request* request,
                       berth_error* err) noexcept {
    return Guard(err, [&] { return Self(self).Pause(ToCall(call), ToRequest(request)); });
  }
  static int32_t Resume(void* self, const berth_call* call, const berth_container_request* request,
                        berth_error* err) noexcept {
    return Guard(err, [&] { return Self(self).Resume(ToCall(call), ToRequest(request)); });
  }
  static int32_t State(void* self, const berth_call* call, const berth_container_request* request,
                       berth_container_state* out, berth_error* err) noexcept {
    return Guard(err, [&]() -> Status {
      BERTH_ASSIGN_OR_RETURN(const ExecutorContainer c, Self(self).State(ToCall(call), ToRequest(request)));
      out->state = static_cast<int32_t>(c.state);
      out->pid = c.pid;
      return {};
    });
  }
  static int32_t Stats(void* self, const berth_call* call, const berth_container_request* request,
                       berth_container_stats* out, berth_error* err) noexcept {
    return Guard(err, [&]() -> Status {
      BERTH_ASSIGN_OR_RETURN(const ContainerStats s, Self(self).Stats(ToCall(call), ToRequest(request)));
      out->at_unix_ns = s.at_unix_ns;
      out->cpu_ns = s.cpu_ns;
      out->memory_bytes = s.memory_bytes;
      out->memory_working_set_bytes = s.memory_working_set_bytes;
      out->memory_limit_bytes = s.memory_limit_bytes;
      out->pids = s.pids;
      return {};
    });
  }
  static int32_t Resize(void* self, const berth_call* call, const berth_resize_request* request,
                        berth_error* err) noexcept {
    return Guard(err, [&] { return Self(self).Resize(ToCall(call), ToRequest(request)); });
  }
  static int32_t Reattach(void* self, const berth_call* call, const berth_container_request* request,
                          const berth_exit_watch* watch, berth_error* err) noexcept {
    return Guard(err, [&] { return Self(self).Reattach(ToCall(call), ToRequest(request), ToOnExit(watch)); });
  }
  static int32_t Checkpoint(void* self, const berth_call* call, const berth_checkpoint_request* request,
                            berth_error* err) noexcept {
    return Guard(err, [&] { return Self(self).Checkpoint(ToCall(call), ToRequest(request)); });
  }
  static int32_t Restore(void* self, const berth_call* call, const berth_checkpoint_request* request,
                         const berth_exit_watch* watch, int64_t* pid, berth_error* err) noexcept {
    return Guard(err, [&]() -> Status {
      BERTH_ASSIGN_OR_RETURN(*pid, Self(self).Restore(ToCall(call), ToRequest(request), ToOnExit(watch)));
      return {};
    });
  }
  static int32_t StartSandbox(void* self, const berth_call* call, const berth_sandbox_request* request,
                              berth_error* err) noexcept {
    return Guard(err, [&] { return Self(self).StartSandbox(ToCall(call), ToRequest(request)); });
  }
  static int32_t StopSandbox(void* self, const berth_call* call, const berth_sandbox_request* request,
                             berth_error* err) noexcept {
    return Guard(err, [&] { return Self(self).StopSandbox(ToCall(call), ToRequest(request)); });
  }
  static int32_t RemoveSandbox(void* self, const berth_call* call, const berth_sandbox_request* request,
                               berth_error* err) noexcept {
    return Guard(err, [&] { return Self(self).RemoveSandbox(ToCall(call), ToRequest(request)); });
  }
  static int32_t PortForward(void* self, const berth_call* call, berth_str pod_id, uint16_t port,
                             int32_t* owned_stream_fd, berth_error* err) noexcept {
    return Guard(err, [&]() -> Status {
      BERTH_ASSIGN_OR_RETURN(UniqueFd fd, Self(self).PortForward(ToCall(call), String(pod_id), port));
      *owned_stream_fd = fd.release();
      return {};
    });
  }

  static constexpr berth_executor kTable = {sizeof(berth_executor),
                                            0,
                                            &Create,
                                            &Destroy,
                                            &Capabilities,
                                            &Features,
                                            &CreateContainer,
                                            &StartContainer,
                                            &Kill,
                                            &DeleteContainer,
                                            &Exec,
                                            &Update,
                                            &Pause,
                                            &Resume,
                                            &State,
                                            &Stats,
                                            &Resize,
                                            &Reattach,
                                            &Checkpoint,
                                            &Restore,
                                            &StartSandbox,
                                            &StopSandbox,
                                            &RemoveSandbox,
                                            &PortForward};
};

}  // namespace internal
}  // namespace berth::sdk

#define BERTH_KIND_OCI_EXECUTOR(Type) \
  { BERTH_EXECUTOR, &::berth::sdk::internal::ExecutorFunctions<Type>::kTable }
#define BERTH_OCI_EXECUTOR_PLUGIN(plugin_name, plugin_version, Type) \
  BERTH_PLUGIN(plugin_name, plugin_version, BERTH_KIND_OCI_EXECUTOR(Type))

#endif  // BERTH_SDK_OCI_EXECUTOR_H_
