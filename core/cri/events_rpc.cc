// GetContainerEvents.
#include "core/cri/event_stream.h"
#include "core/cri/runtime_service.h"

namespace berth {

grpc::ServerWriteReactor<cri::ContainerEventResponse>* CriRuntimeService::GetContainerEvents(
    Context* context, const cri::GetEventsRequest*) {
  return EventStream::Start(context, env_.bus, env_.calls);
}

}  // namespace berth
