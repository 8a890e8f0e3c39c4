// The RPCs that change the resources of what exists.
#include <optional>

#include "core/cri/runtime_service.h"
#include "core/cri/unary_call.h"

namespace berth {

grpc::ServerUnaryReactor* CriRuntimeService::UpdateContainerResources(
    Context*, const cri::UpdateContainerResourcesRequest* request, cri::UpdateContainerResourcesResponse*) {
  auto call = UnaryCall::Start(env_.calls);
  if (request->has_windows()) {
    call->Answer(absl::InvalidArgumentError("update the resources of a container: windows is set, this node is Linux"));
    return call.get();
  }
  // Without `linux` there is nothing to change, in a container that exists.
  env_.containers->UpdateResources(request->container_id(), request->linux(),
                                   [call](absl::Status status) { call->Answer(status); });
  return call.get();
}

grpc::ServerUnaryReactor* CriRuntimeService::UpdatePodSandboxResources(
    Context*, const cri::UpdatePodSandboxResourcesRequest* request, cri::UpdatePodSandboxResourcesResponse*) {
  auto call = UnaryCall::Start(env_.calls);
  std::optional<cri::LinuxContainerResources> overhead, resources;
  if (request->has_overhead()) overhead = request->overhead();
  if (request->has_resources()) resources = request->resources();
  env_.pods->UpdateResources(request->pod_sandbox_id(), overhead, resources,
                             [call](absl::Status status) { call->Answer(status); });
  return call.get();
}

}  // namespace berth
