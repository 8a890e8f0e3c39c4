#include "core/bus/event_bus.h"

#include <algorithm>
#include <utility>

namespace berth {

struct Subscription::State {
  State(uint32_t t, size_t c, std::function<void()> w) : topics(t), capacity(c), wake(std::move(w)) {}

  bool Wants(Topic topic) const { return (topics & static_cast<uint32_t>(topic)) != 0; }
  // False when the event is of another topic, or lost.
  bool Add(const std::shared_ptr<const Event>& event) {
    if (!Wants(event->topic)) return false;
    std::lock_guard lock(mutex);
    if (ring.size() >= capacity) {
      ++lost;
      return false;
    }
    ring.push_back({event, std::exchange(lost, 0)});
    return true;
  }

  const uint32_t topics;
  const size_t capacity;
  std::mutex wake_mutex;  // held while waking, so that unsubscribing waits for a wake under way
  std::function<void()> wake;
  std::mutex mutex;
  std::deque<Item> ring;
  uint64_t lost = 0;
};

Subscription::Subscription(EventBus* bus, std::shared_ptr<State> state) : bus_(bus), state_(std::move(state)) {}

Subscription::~Subscription() {
  bus_->Remove(state_);
  std::lock_guard lock(state_->wake_mutex);
  state_->wake = nullptr;
}

std::optional<Subscription::Item> Subscription::Poll() {
  std::lock_guard lock(state_->mutex);
  if (state_->ring.empty()) return std::nullopt;
  Item item = std::move(state_->ring.front());
  state_->ring.pop_front();
  return item;
}

uint64_t EventBus::Publish(Event event) {
  std::vector<std::shared_ptr<Subscription::State>> woken;
  uint64_t sequence;
  {
    // The order of the rings is the order of the sequence numbers, so both change under one lock.
    std::lock_guard lock(mutex_);
    sequence = event.sequence = ++last_sequence_;
    const auto shared = std::make_shared<const Event>(std::move(event));
    if (backlog_ != nullptr) backlog_->Add(shared);
    for (const auto& subscriber : subscribers_) {
      if (subscriber->Add(shared)) woken.push_back(subscriber);
    }
  }
  for (const auto& subscriber : woken) {
    std::lock_guard lock(subscriber->wake_mutex);
    if (subscriber->wake) subscriber->wake();
  }
  return sequence;
}

bool EventBus::HasListeners(Topic topic) const {
  std::lock_guard lock(mutex_);
  if (backlog_ != nullptr && backlog_->Wants(topic)) return true;
  return std::any_of(subscribers_.begin(), subscribers_.end(),
                     [topic](const auto& subscriber) { return subscriber->Wants(topic); });
}

std::unique_ptr<Subscription> EventBus::Subscribe(uint32_t topics, size_t capacity, std::function<void()> wake,
                                                  Backlog backlog) {
  std::lock_guard lock(mutex_);
  const bool takes = backlog == Backlog::kTake && backlog_ != nullptr;
  // What was kept takes no room of what comes.
  if (takes) capacity += backlog_->ring.size();
  auto state = std::make_shared<Subscription::State>(topics, capacity, std::move(wake));
  if (takes) {
    state->ring = backlog_->ring;
    state->lost = backlog_->lost;
    if (backlog_for_ == BacklogFor::kFirst) backlog_ = nullptr;
  }
  subscribers_.push_back(state);
  return std::unique_ptr<Subscription>(new Subscription(this, std::move(state)));
}

void EventBus::KeepBacklog(uint32_t topics, size_t capacity, BacklogFor whose) {
  std::lock_guard lock(mutex_);
  backlog_for_ = whose;
  backlog_ = std::make_shared<Subscription::State>(topics, capacity, nullptr);
}

void EventBus::DropBacklog() {
  std::lock_guard lock(mutex_);
  backlog_ = nullptr;
}

void EventBus::Remove(const std::shared_ptr<Subscription::State>& state) {
  std::lock_guard lock(mutex_);
  subscribers_.erase(std::remove(subscribers_.begin(), subscribers_.end(), state), subscribers_.end());
}

}  // namespace berth
