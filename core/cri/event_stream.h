// GetContainerEvents: one subscriber of the event bus as a stream without end.
#ifndef BERTH_CORE_CRI_EVENT_STREAM_H_
#define BERTH_CORE_CRI_EVENT_STREAM_H_

#include <atomic>
#include <memory>

#include "core/bus/event_bus.h"
#include "core/cri/stream_call.h"
#include "proto/cri/v1/api.pb.h"

namespace berth {

// What GetContainerEvents tells of.
inline constexpr uint32_t kContainerEventTopics =
    static_cast<uint32_t>(Topic::kPod) | static_cast<uint32_t>(Topic::kContainer);
// A client that does not read fills its own ring of this many events and loses what follows; nobody waits for it.
inline constexpr size_t kEventsKept = 1000;

class EventStream : public StreamCall<runtime::v1::ContainerEventResponse> {
 public:
  static EventStream* Start(grpc::CallbackServerContext* context, EventBus* bus, OpenCalls* calls);
  using StreamCall::StreamCall;  // only through Start

 private:
  NextMessage Next(runtime::v1::ContainerEventResponse* message) override;

  std::unique_ptr<Subscription> subscription_;
  std::atomic<bool> subscribed_{false};  // subscription_ is set: a wake may come before
};

}  // namespace berth

#endif  // BERTH_CORE_CRI_EVENT_STREAM_H_
