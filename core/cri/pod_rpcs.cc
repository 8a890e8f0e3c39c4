// The RPCs of pod sandboxes.
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/cri/filters.h"
#include "core/cri/message_json.h"
#include "core/cri/pod_events.h"
#include "core/cri/runtime_service.h"
#include "core/cri/stream_call.h"
#include "core/cri/to_cri.h"
#include "core/cri/unary_call.h"

namespace berth {

grpc::ServerUnaryReactor* CriRuntimeService::RunPodSandbox(Context*, const cri::RunPodSandboxRequest* request,
                                                           cri::RunPodSandboxResponse* response) {
  auto call = UnaryCall::Start(env_.calls);
  env_.pods->Run(request->config(), request->runtime_handler(), [call, response](absl::StatusOr<std::string> id) {
    call->Answer(id.status(), [&] { response->set_pod_sandbox_id(*id); });
  });
  return call.get();
}

grpc::ServerUnaryReactor* CriRuntimeService::StopPodSandbox(Context*, const cri::StopPodSandboxRequest* request,
                                                            cri::StopPodSandboxResponse*) {
  auto call = UnaryCall::Start(env_.calls);
  env_.pods->Stop(request->pod_sandbox_id(), [call](absl::Status status) { call->Answer(status); });
  return call.get();
}

grpc::ServerUnaryReactor* CriRuntimeService::RemovePodSandbox(Context*, const cri::RemovePodSandboxRequest* request,
                                                              cri::RemovePodSandboxResponse*) {
  auto call = UnaryCall::Start(env_.calls);
  env_.pods->Remove(request->pod_sandbox_id(), [call](absl::Status status) { call->Answer(status); });
  return call.get();
}

std::string CriRuntimeService::PodInfo(const Pod& pod) const {
  const auto view = pod.view();
  nlohmann::json info = {
      {"pid", view->record.supervisor_pid()},         {"runtimeHandler", view->record.runtime_handler()},
      {"netNSPath", view->record.netns_path()},       {"netNSClosed", view->record.network_torn_down()},
      {"cgroupParent", view->record.cgroup_parent()}, {"initPid", view->record.init_pid()},
      {"config", MessageToJson(*view->config)}};
  for (const state::v1::NetworkAttachment& network : view->record.networks()) {
    info["networks"].push_back(
        {{"hook", network.hook()}, {"ips", std::vector<std::string>(network.ips().begin(), network.ips().end())}});
  }
  return DumpForClients(info);
}

grpc::ServerUnaryReactor* CriRuntimeService::PodSandboxStatus(Context*, const cri::PodSandboxStatusRequest* request,
                                                              cri::PodSandboxStatusResponse* response) {
  auto call = UnaryCall::Start(env_.calls);
  // The time first: what is answered is never older than it says.
  const int64_t now = UnixNanos();
  const auto pod = env_.pods->Find(request->pod_sandbox_id());
  call->Answer(pod.status(), [&] {
    ToCri(*(*pod)->view(), response->mutable_status());
    AddContainerStatuses(*env_.containers, *env_.images, (*pod)->id(), response->mutable_containers_statuses());
    response->set_timestamp(now);
    if (request->verbose()) (*response->mutable_info())["info"] = PodInfo(**pod);
  });
  return call.get();
}

grpc::ServerUnaryReactor* CriRuntimeService::ListPodSandbox(Context*, const cri::ListPodSandboxRequest* request,
                                                            cri::ListPodSandboxResponse* response) {
  auto call = UnaryCall::Start(env_.calls);
  call->Answer(CheckFilter(request->filter()), [&] {
    for (const auto& pod : env_.pods->All()) {
      if (const auto view = pod->view(); Matches(request->filter(), *view)) ToCri(*view, response->add_items());
    }
  });
  return call.get();
}

grpc::ServerWriteReactor<cri::StreamPodSandboxesResponse>* CriRuntimeService::StreamPodSandboxes(
    Context* context, const cri::StreamPodSandboxesRequest* request) {
  const CallGate::Entry entry = env_.gate->Enter();
  if (entry.by_successor()) {
    return env_.relay->Stream<cri::StreamPodSandboxesRequest, cri::StreamPodSandboxesResponse>(
        "/runtime.v1.RuntimeService/StreamPodSandboxes", context, *request, env_.calls, OpenCalls::Length::kFinite);
  }
  std::vector<std::shared_ptr<const PodView>> views;
  const absl::Status status = CheckFilter(request->filter());
  for (const auto& pod : status.ok() ? env_.pods->All() : std::vector<std::shared_ptr<Pod>>()) {
    if (auto view = pod->view(); Matches(request->filter(), *view)) views.push_back(std::move(view));
  }
  return StreamList<cri::StreamPodSandboxesResponse>(
      context, env_.calls, status, std::move(views),
      [](const PodView& view, cri::StreamPodSandboxesResponse* out) { ToCri(view, out->add_pod_sandboxes()); });
}

}  // namespace berth
