#include "core/plugin/executor_adapter.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "berth/abi/executor.h"
#include "core/base/status.h"
#include "core/plugin/exit_watches.h"
#include "core/plugin/instance.h"

namespace berth {
namespace {

constexpr size_t kMaxFeatures = 1 << 20;

berth_container_request Abi(const ContainerRequest& r) {
  return {sizeof(berth_container_request), 0, AbiStr(r.id), AbiStr(r.pod_id), AbiStr(r.bundle), AbiStr(r.pid_file),
          AbiStr(r.console_socket)};
}

berth_exec_request Abi(const ExecRequest& r) {
  return {sizeof(berth_exec_request), 0,
          AbiStr(r.container_id),     AbiStr(r.exec_id),
          AbiStr(r.pod_id),           AbiStr(r.process_file),
          AbiStr(r.pid_file),         AbiStr(r.console_socket)};
}

// A watch that is dropped again unless the operation succeeds. Without on_exit there is none.
class Watch {
 public:
  explicit Watch(OciExecutor::OnExit on_exit) : wanted_(static_cast<bool>(on_exit)) {
    if (wanted_) raw_ = ExitWatches::Get().Add(std::move(on_exit));
  }
  ~Watch() {
    if (wanted_) ExitWatches::Get().Drop(raw_);
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  const berth_exit_watch* get() const { return wanted_ ? &raw_ : nullptr; }
  void Keep() { wanted_ = false; }

 private:
  bool wanted_;
  berth_exit_watch raw_{};
};

struct FeaturesDelivery : Delivery {
  ExecutorFeatures features;

  static void Put(void* ctx, const berth_executor_features* f) noexcept {
    auto* self = static_cast<FeaturesDelivery*>(ctx);
    self->Take([&] { self->Read(f); });
  }
  void Read(const berth_executor_features* f) {
    if (!reader.Struct(f, "the features")) return;
    features.name = reader.Text(f->name, "the name", 128);
    features.version = reader.Text(f->version, "the version", 128);
    features.oci_version_max = reader.Text(f->oci_version_max, "the OCI version", 128);
    features.id_mapped_mounts = f->id_mapped_mounts != 0;
    features.recursive_read_only = f->recursive_read_only != 0;
    features.json = reader.Text(f->json, "the features' JSON", kMaxFeatures);
  }
};

class Adapter : public OciExecutor {
 public:
  using Instance = PluginInstance<berth_executor>;

  Adapter(std::unique_ptr<Instance> instance, uint64_t capabilities)
      : instance_(std::move(instance)), capabilities_(capabilities) {}

  uint64_t capabilities() const override { return capabilities_; }

  absl::StatusOr<ExecutorFeatures> Features(const Call& call) override {
    const berth_call raw_call = AbiCall(call);
    FeaturesDelivery delivery;
    const berth_executor_features_sink sink{sizeof(sink), 0, &delivery, &FeaturesDelivery::Put};
    RETURN_IF_ERROR(
        delivery.Check(instance_->who(), instance_->Invoke("features", table().features, &raw_call, &sink)));
    return std::move(delivery.features);
  }

  absl::StatusOr<pid_t> Create(const Call& call, const ContainerRequest& request, OnExit on_exit) override {
    const berth_container_request raw = Abi(request);
    absl::StatusOr<pid_t> pid = Begin("create_container", table().create_container, call, &raw, std::move(on_exit));
    // It believes that it succeeded: the id must not stay in use.
    if (absl::IsInternal(pid.status())) Delete(call, request).IgnoreError();
    return pid;
  }

  absl::StatusOr<pid_t> Exec(const Call& call, const ExecRequest& request, OnExit on_exit) override {
    const berth_exec_request raw = Abi(request);
    return Begin("exec", table().exec, call, &raw, std::move(on_exit));
  }

  absl::Status Start(const Call& call, const ContainerRequest& request) override {
    return Do("start_container", table().start_container, call, request);
  }
  absl::Status Delete(const Call& call, const ContainerRequest& request) override {
    return Do("delete_container", table().delete_container, call, request);
  }
  absl::Status Pause(const Call& call, const ContainerRequest& request) override {
    return Do("pause", table().pause, call, request);
  }
  absl::Status Resume(const Call& call, const ContainerRequest& request) override {
    return Do("resume", table().resume, call, request);
  }
  absl::Status Kill(const Call& call, const ContainerRequest& request, int signal, bool all) override {
    return Do("kill", table().kill, call, request, signal, all ? 1 : 0);
  }
  absl::Status Update(const Call& call, const ContainerRequest& request, const std::string& resources_json) override {
    return Do("update", table().update, call, request, AbiStr(resources_json));
  }

  absl::StatusOr<ExecutorContainer> State(const Call& call, const ContainerRequest& request) override {
    berth_container_state out{};
    out.struct_size = sizeof(out);
    RETURN_IF_ERROR(Do("state", table().state, call, request, &out));
    if (out.state < BERTH_EXECUTOR_CREATING || out.state > BERTH_EXECUTOR_STOPPED) {
      return Nonsense(request.id, "an unknown state");
    }
    if (out.pid < 0 || out.pid > std::numeric_limits<pid_t>::max()) return Nonsense(request.id, "a pid out of range");
    return ExecutorContainer{static_cast<ExecutorState>(out.state), static_cast<pid_t>(out.pid)};
  }

  absl::Status Reattach(const Call& call, const ContainerRequest& request, OnExit on_exit) override {
    Watch watch(std::move(on_exit));
    RETURN_IF_ERROR(Do("reattach", table().reattach, call, request, watch.get()));
    watch.Keep();
    return absl::OkStatus();
  }

  absl::StatusOr<ExecutorStats> Stats(const Call& call, const ContainerRequest& request) override {
    berth_container_stats out{};
    out.struct_size = sizeof(out);
    RETURN_IF_ERROR(Do("stats", table().stats, call, request, &out));
    return ExecutorStats{out.at_unix_ns,         out.cpu_ns, out.memory_bytes, out.memory_working_set_bytes,
                         out.memory_limit_bytes, out.pids};
  }

  absl::Status Resize(const Call& call, const ResizeRequest& request) override {
    const berth_call raw_call = AbiCall(call);
    const berth_resize_request raw{sizeof(raw),
                                   request.columns,
                                   request.rows,
                                   AbiStr(request.pod_id),
                                   AbiStr(request.container_id),
                                   AbiStr(request.exec_id)};
    return instance_->Invoke("resize", table().resize, &raw_call, &raw);
  }

  absl::Status Checkpoint(const Call& call, const CheckpointRequest& request) override {
    const berth_call raw_call = AbiCall(call);
    const berth_container_request container = Abi(request.container);
    const berth_checkpoint_request raw = Abi(request, &container);
    return instance_->Invoke("checkpoint", table().checkpoint, &raw_call, &raw);
  }

  absl::StatusOr<pid_t> Restore(const Call& call, const CheckpointRequest& request, OnExit on_exit) override {
    const berth_container_request container = Abi(request.container);
    const berth_checkpoint_request raw = Abi(request, &container);
    absl::StatusOr<pid_t> pid = Begin("restore", table().restore, call, &raw, std::move(on_exit));
    if (absl::IsInternal(pid.status())) Delete(call, request.container).IgnoreError();
    return pid;
  }

  absl::Status StartSandbox(const Call& call, const SandboxRequest& request) override {
    return DoSandbox("start_sandbox", table().start_sandbox, call, request);
  }
  absl::Status StopSandbox(const Call& call, const SandboxRequest& request) override {
    return DoSandbox("stop_sandbox", table().stop_sandbox, call, request);
  }
  absl::Status RemoveSandbox(const Call& call, const SandboxRequest& request) override {
    return DoSandbox("remove_sandbox", table().remove_sandbox, call, request);
  }

  absl::StatusOr<UniqueFd> PortForward(const Call& call, const std::string& pod_id, uint16_t port) override {
    const berth_call raw_call = AbiCall(call);
    int32_t fd = -1;
    RETURN_IF_ERROR(instance_->Invoke("port_forward", table().port_forward, &raw_call, AbiStr(pod_id), port, &fd));
    struct stat st = {};
    if (fd <= STDERR_FILENO || fstat(fd, &st) != 0) return Nonsense(pod_id, "a stream that is no open descriptor");
    UniqueFd out(fd);
    if (!S_ISSOCK(st.st_mode)) return Nonsense(pod_id, "a stream that is no socket");
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return out;
  }

 private:
  static berth_checkpoint_request Abi(const CheckpointRequest& r, const berth_container_request* container) {
    return {sizeof(berth_checkpoint_request), r.leave_running ? 1u : 0u, container, AbiStr(r.image_directory),
            AbiStr(r.work_directory)};
  }
  static berth_container_request Abi(const ContainerRequest& r) { return berth::Abi(r); }
  static berth_exec_request Abi(const ExecRequest& r) { return berth::Abi(r); }

  const berth_executor& table() const { return instance_->table(); }

  template <class Function, class... Arguments>
  absl::Status Do(const char* name, Function function, const Call& call, const ContainerRequest& request,
                  Arguments... arguments) {
    const berth_call raw_call = AbiCall(call);
    const berth_container_request raw = Abi(request);
    return instance_->Invoke(name, function, &raw_call, &raw, arguments...);
  }

  template <class Function>
  absl::Status DoSandbox(const char* name, Function function, const Call& call, const SandboxRequest& request) {
    const berth_call raw_call = AbiCall(call);
    const std::vector<berth_pair> annotations = AbiPairs(request.annotations);
    const berth_sandbox_request raw{sizeof(raw),
                                    request.netns_fd,
                                    AbiStr(request.pod_id),
                                    AbiStr(request.directory),
                                    AbiStr(request.netns_path),
                                    AbiStr(request.cgroup_path),
                                    annotations.data(),
                                    annotations.size()};
    return instance_->Invoke(name, function, &raw_call, &raw);
  }

  // Starts a process that may be watched.
  template <class Function, class Request>
  absl::StatusOr<pid_t> Begin(const char* name, Function function, const Call& call, const Request* request,
                              OnExit on_exit) {
    const berth_call raw_call = AbiCall(call);
    Watch watch(std::move(on_exit));
    int64_t pid = 0;
    RETURN_IF_ERROR(instance_->Invoke(name, function, &raw_call, request, watch.get(), &pid));
    if (pid <= 0 || pid > std::numeric_limits<pid_t>::max()) return Nonsense(name, "a pid out of range");
    watch.Keep();
    return static_cast<pid_t>(pid);
  }

  absl::Status Nonsense(absl::string_view whose, const char* what) const {
    return absl::InternalError(
        absl::StrCat(instance_->who(), ": the plugin answered nonsense for ", whose, ": ", what));
  }

  const std::unique_ptr<Instance> instance_;
  const uint64_t capabilities_;
};

std::vector<PluginFunction> Required(const berth_executor& t) {
  return {{"create_container", t.create_container != nullptr},
          {"start_container", t.start_container != nullptr},
          {"kill", t.kill != nullptr},
          {"delete_container", t.delete_container != nullptr},
          {"exec", t.exec != nullptr},
          {"state", t.state != nullptr}};
}

}  // namespace

absl::StatusOr<std::unique_ptr<OciExecutor>> AdaptOciExecutor(const void* table, std::unique_ptr<PluginHost> host,
                                                              std::shared_ptr<std::mutex> starting) {
  ASSIGN_OR_RETURN(auto instance,
                   PluginInstance<berth_executor>::Create(table, std::move(host), std::move(starting), &Required));
  uint64_t capabilities = 0;
  if (instance->table().capabilities != nullptr) capabilities = instance->table().capabilities(instance->self());
  return std::make_unique<Adapter>(std::move(instance), capabilities);
}

}  // namespace berth
