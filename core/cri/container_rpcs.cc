// The RPCs of containers.
#include <algorithm>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/cri/filters.h"
#include "core/cri/message_json.h"
#include "core/cri/runtime_service.h"
#include "core/cri/stream_call.h"
#include "core/cri/to_cri.h"
#include "core/cri/unary_call.h"

namespace berth {
namespace {

constexpr uint64_t kMostSpecBytes = 16 << 20;
constexpr int64_t kSecond = 1'000'000'000;

}  // namespace

grpc::ServerUnaryReactor* CriRuntimeService::CreateContainer(Context*, const cri::CreateContainerRequest* request,
                                                             cri::CreateContainerResponse* response) {
  auto call = UnaryCall::Start(env_.calls);
  env_.containers->Create(request->pod_sandbox_id(), request->config(),
                          [call, response](absl::StatusOr<std::string> id) {
                            call->Answer(id.status(), [&] { response->set_container_id(*id); });
                          });
  return call.get();
}

grpc::ServerUnaryReactor* CriRuntimeService::StartContainer(Context*, const cri::StartContainerRequest* request,
                                                            cri::StartContainerResponse*) {
  auto call = UnaryCall::Start(env_.calls);
  env_.containers->Start(request->container_id(), [call](absl::Status status) { call->Answer(status); });
  return call.get();
}

grpc::ServerUnaryReactor* CriRuntimeService::StopContainer(Context* context, const cri::StopContainerRequest* request,
                                                           cri::StopContainerResponse* response) {
  auto call = UnaryCall::Start<MovableCall>(env_.calls);
  call->OnMove([this, context, response, again = *request, began = MonotonicNanos()](auto moved) mutable {
    // The grace period goes on, it does not begin anew.
    again.set_timeout(std::max<int64_t>(again.timeout() - (MonotonicNanos() - began) / kSecond, 0));
    env_.relay->Unary("/runtime.v1.RuntimeService/StopContainer", context, again, response, moved);
  });
  env_.containers->Stop(request->container_id(), request->timeout(),
                        [call](absl::Status status) { call->Answer(status); });
  return call.get();
}

grpc::ServerUnaryReactor* CriRuntimeService::RemoveContainer(Context*, const cri::RemoveContainerRequest* request,
                                                             cri::RemoveContainerResponse*) {
  auto call = UnaryCall::Start(env_.calls);
  env_.containers->Remove(request->container_id(), [call](absl::Status status) { call->Answer(status); });
  return call.get();
}

grpc::ServerUnaryReactor* CriRuntimeService::ReopenContainerLog(Context*, const cri::ReopenContainerLogRequest* request,
                                                                cri::ReopenContainerLogResponse*) {
  auto call = UnaryCall::Start(env_.calls);
  env_.containers->ReopenLog(request->container_id(), [call](absl::Status status) { call->Answer(status); });
  return call.get();
}

// Blocks: reads the bundle.
std::string CriRuntimeService::ContainerInfo(const Container& container) const {
  const auto view = container.view();
  nlohmann::json info = {{"sandboxID", view->record.pod_id()},
                         {"pid", view->record.pid()},
                         {"snapshotKey", view->record.snapshot_key()},
                         {"snapshotter", view->record.snapshotter()},
                         {"cgroupPath", view->record.cgroup_path()},
                         {"runtimeHandler", container.pod()->view()->record.runtime_handler()},
                         {"config", MessageToJson(*view->config)}};
  // Gone with the reboot: then there is none to show.
  auto spec = ReadFile(env_.config->state + "/bundles/" + container.id() + "/config.json", kMostSpecBytes);
  if (spec.ok()) info["runtimeSpec"] = ParsedOrText(*spec);
  return DumpForClients(info);
}

grpc::ServerUnaryReactor* CriRuntimeService::ContainerStatus(Context*, const cri::ContainerStatusRequest* request,
                                                             cri::ContainerStatusResponse* response) {
  auto call = UnaryCall::Start(env_.calls);
  const auto found = env_.containers->Find(request->container_id());
  const auto fill = [this, response](const Container& container) {
    const auto view = container.view();
    ToCri(*view, env_.images->Status(view->record.image_id()).get(), response->mutable_status());
  };
  if (!found.ok() || !request->verbose()) {
    call->Answer(found.status(), [&] { fill(**found); });
    return call.get();
  }
  env_.pool->Add([this, call, response, fill, container = *found] {
    std::string info = ContainerInfo(*container);
    call->Answer(absl::OkStatus(), [&] {
      fill(*container);
      (*response->mutable_info())["info"] = std::move(info);
    });
  });
  return call.get();
}

grpc::ServerUnaryReactor* CriRuntimeService::ListContainers(Context*, const cri::ListContainersRequest* request,
                                                            cri::ListContainersResponse* response) {
  auto call = UnaryCall::Start(env_.calls);
  call->Answer(CheckFilter(request->filter()), [&] {
    for (const auto& container : env_.containers->All()) {
      if (const auto view = container->view(); Matches(request->filter(), *view)) {
        ToCri(*view, response->add_containers());
      }
    }
  });
  return call.get();
}

grpc::ServerWriteReactor<cri::StreamContainersResponse>* CriRuntimeService::StreamContainers(
    Context* context, const cri::StreamContainersRequest* request) {
  const CallGate::Entry entry = env_.gate->Enter();
  if (entry.by_successor()) {
    return env_.relay->Stream<cri::StreamContainersRequest, cri::StreamContainersResponse>(
        "/runtime.v1.RuntimeService/StreamContainers", context, *request, env_.calls, OpenCalls::Length::kFinite);
  }
  std::vector<std::shared_ptr<const ContainerView>> views;
  const absl::Status status = CheckFilter(request->filter());
  for (const auto& container : status.ok() ? env_.containers->All() : std::vector<std::shared_ptr<Container>>()) {
    if (auto view = container->view(); Matches(request->filter(), *view)) views.push_back(std::move(view));
  }
  return StreamList<cri::StreamContainersResponse>(
      context, env_.calls, status, std::move(views),
      [](const ContainerView& view, cri::StreamContainersResponse* out) { ToCri(view, out->add_containers()); });
}

}  // namespace berth
