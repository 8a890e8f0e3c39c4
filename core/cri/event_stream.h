// GetContainerEvents: one subscriber of the event bus as a stream without end.
#ifndef BERTH_CORE_CRI_EVENT_STREAM_H_
#define BERTH_CORE_CRI_EVENT_STREAM_H_

#include <atomic>
#include <memory>

#include "core/bus/event_bus.h"
#include "core/cri/relay.h"
#include "core/cri/stream_call.h"
#include "proto/cri/v1/api.pb.h"

namespace berth {

// What GetContainerEvents tells of.
inline constexpr uint32_t kContainerEventTopics =
    static_cast<uint32_t>(Topic::kPod) | static_cast<uint32_t>(Topic::kContainer);
// A client that does not read fills its own ring of this many events and loses what follows; nobody waits for it.
inline constexpr size_t kEventsKept = 1000;
inline constexpr char kEventsMethod[] = "/runtime.v1.RuntimeService/GetContainerEvents";

// After a hand-over it goes on with the successor's events, behind those that were told here.
class EventStream : public StreamCall<runtime::v1::ContainerEventResponse> {
 public:
  static EventStream* Start(grpc::CallbackServerContext* context, EventBus* bus, OpenCalls* calls, Relay* relay);
  // Only through Start.
  EventStream(grpc::CallbackServerContext* context, OpenCalls* calls, Relay* relay)
      : StreamCall(context, calls), relay_(relay) {}
  ~EventStream() override;

  HandOver hand_over() const override { return HandOver::kMoves; }
  void Move(const std::shared_ptr<OpenCall>& self) override;

 private:
  NextMessage Next(runtime::v1::ContainerEventResponse* message) override;

  Relay* const relay_;
  std::unique_ptr<Subscription> subscription_;
  std::atomic<bool> subscribed_{false};  // subscription_ is set: a wake may come before
  std::shared_ptr<RelayedReader<runtime::v1::ContainerEventResponse>> successors_;
};

}  // namespace berth

#endif  // BERTH_CORE_CRI_EVENT_STREAM_H_
