// The RPCs that tell what containers use.
#include <memory>
#include <utility>
#include <vector>

#include "core/cri/filters.h"
#include "core/cri/runtime_service.h"
#include "core/cri/unary_call.h"

namespace berth {

grpc::ServerUnaryReactor* CriRuntimeService::ContainerStats(Context*, const cri::ContainerStatsRequest* request,
                                                            cri::ContainerStatsResponse* response) {
  auto call = UnaryCall::Start(env_.calls);
  const auto found = env_.containers->Find(request->container_id());
  if (!found.ok()) {
    call->Answer(found.status());
    return call.get();
  }
  env_.pool->Add([this, call, response, container = *found] {
    cri::ContainerStats stats;
    env_.containers->ReadStats(*container, &stats);
    call->Answer(absl::OkStatus(), [&] { *response->mutable_stats() = std::move(stats); });
  });
  return call.get();
}

grpc::ServerUnaryReactor* CriRuntimeService::ListContainerStats(Context*, const cri::ListContainerStatsRequest* request,
                                                                cri::ListContainerStatsResponse* response) {
  auto call = UnaryCall::Start(env_.calls);
  if (absl::Status bad = CheckFilter(request->filter()); !bad.ok()) {
    call->Answer(bad);
    return call.get();
  }
  // Of those that have ended nothing is used any more but disk, and the kubelet would take them for running.
  std::vector<std::shared_ptr<Container>> live;
  for (const std::shared_ptr<Container>& container : env_.containers->All()) {
    const auto view = container->view();
    const auto state = view->record.state();
    if (state != state::v1::Container::CREATED && state != state::v1::Container::RUNNING) continue;
    if (Matches(request->filter(), *view)) live.push_back(container);
  }
  env_.pool->Add([this, call, response, live = std::move(live)] {
    cri::ListContainerStatsResponse list;
    for (const std::shared_ptr<Container>& container : live) env_.containers->ReadStats(*container, list.add_stats());
    call->Answer(absl::OkStatus(), [&] { *response = std::move(list); });
  });
  return call.get();
}

}  // namespace berth
