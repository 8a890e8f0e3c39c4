#include "core/cri/event_stream.h"

#include <optional>
#include <utility>

#include "core/base/log.h"

namespace berth {

EventStream* EventStream::Start(grpc::CallbackServerContext* context, EventBus* bus, OpenCalls* calls, Relay* relay) {
  auto stream = std::make_shared<EventStream>(context, calls, relay);
  EventStream* const reactor = stream.get();
  // The subscription ends with the reactor, and waits then for a wake under way.
  const auto wake = [reactor] {
    if (reactor->subscribed_) reactor->Pump();
  };
  reactor->subscription_ = bus->Subscribe(kContainerEventTopics, kEventsKept, wake, Backlog::kTake);
  reactor->subscribed_ = true;
  reactor->Begin(std::move(stream), OpenCalls::Length::kEndless);
  return reactor;
}

NextMessage EventStream::Next(runtime::v1::ContainerEventResponse* message) {
  while (std::optional<Subscription::Item> item = subscription_->Poll()) {
    if (item->lost_before > 0) {
      LogWarn("a client of GetContainerEvents reads too slowly", {{"lost_events", item->lost_before}});
    }
    if (message->ParseFromString(item->event->payload)) return NextMessage::kReady;
    LogError("an event is no ContainerEventResponse", {{"id", item->event->id}});
  }
  return successors_ == nullptr ? NextMessage::kNoneNow : successors_->Next(message, &end_);
}

EventStream::~EventStream() {
  if (successors_ != nullptr) successors_->Stop();
}

void EventStream::Move(const std::shared_ptr<OpenCall>&) {
  auto reader = RelayedReader<runtime::v1::ContainerEventResponse>::Start(
      relay_->channel().get(), kEventsMethod, runtime::v1::GetEventsRequest(), [this] { Pump(); });
  {
    std::lock_guard lock(mutex_);
    successors_ = std::move(reader);
  }
  Pump();  // it may have woken us before we knew it
}

}  // namespace berth
