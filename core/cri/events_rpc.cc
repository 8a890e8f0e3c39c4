// GetContainerEvents.
#include "core/cri/event_stream.h"
#include "core/cri/runtime_service.h"

namespace berth {

grpc::ServerWriteReactor<cri::ContainerEventResponse>* CriRuntimeService::GetContainerEvents(
    Context* context, const cri::GetEventsRequest* request) {
  const CallGate::Entry entry = env_.gate->Enter();
  if (entry.by_successor()) {
    return env_.relay->Stream<cri::GetEventsRequest, cri::ContainerEventResponse>(
        kEventsMethod, context, *request, env_.calls, OpenCalls::Length::kEndless);
  }
  return EventStream::Start(context, env_.bus, env_.calls, env_.relay);
}

}  // namespace berth
