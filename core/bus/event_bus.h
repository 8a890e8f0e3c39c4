// The event bus: what changed, told to whoever asked. Publishing never blocks and never waits for a subscriber.
//
// Each subscriber has a bounded ring; what does not fit is dropped for that subscriber alone, which is told how many it
// lost. Events of one publisher thread arrive in the order they were published; sequence numbers have no gaps.
#ifndef BERTH_CORE_BUS_EVENT_BUS_H_
#define BERTH_CORE_BUS_EVENT_BUS_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace berth {

enum class Topic : uint32_t { kPod = 1, kContainer = 2, kImage = 4, kSnapshot = 8, kPlugin = 16 };
inline constexpr uint32_t kAllTopics = 31;

// What a subscriber does about the events that were kept for the first who asks: see KeepBacklog.
enum class Backlog : bool { kLeave = false, kTake = true };

// Whose what is kept is: the first's who takes it, or everyone's who does.
enum class BacklogFor : bool { kFirst, kEveryone };

enum class EventType { kCreated, kStarted, kStopped, kDeleted, kCustom };

struct Event {
  uint64_t sequence = 0;  // set by Publish
  int64_t at_unix_ns = 0;
  Topic topic = Topic::kPod;
  EventType type = EventType::kCreated;
  std::string id;       // of the pod, container, image, snapshot; the plugin's own topic name for kCustom
  std::string payload;  // kPod, kContainer: an encoded runtime.v1.ContainerEventResponse; kPlugin: JSON
};

class EventBus;

// Any thread, one at a time. Destroying it unsubscribes; its wake function is not called any more after that.
class Subscription {
 public:
  ~Subscription();
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;

  struct Item {
    std::shared_ptr<const Event> event;
    uint64_t lost_before = 0;  // events dropped between the previous item and this one
  };
  // The next event, or nothing when there is none now.
  std::optional<Item> Poll();

 private:
  friend class EventBus;
  struct State;
  Subscription(EventBus* bus, std::shared_ptr<State> state);

  EventBus* const bus_;
  const std::shared_ptr<State> state_;
};

// Thread-safe. Outlives its subscriptions.
class EventBus {
 public:
  EventBus() = default;
  EventBus(const EventBus&) = delete;
  EventBus& operator=(const EventBus&) = delete;

  // Returns the sequence number given to the event.
  uint64_t Publish(Event event);
  // Whether anyone would get an event of `topic` now: one that is costly to make need not be made for nobody.
  bool HasListeners(Topic topic) const;

  // Events of the `topics` (Topic values or'ed) from now on. `wake` is called, on the publisher's thread and without
  // locks that Poll takes, each time an event was added: it must return at once and may not subscribe or unsubscribe.
  // With Backlog::kTake what was kept comes first, and is kept no more unless it is everyone's.
  std::unique_ptr<Subscription> Subscribe(uint32_t topics, size_t capacity, std::function<void()> wake,
                                          Backlog backlog = Backlog::kLeave);

  // From now on events of the `topics` are kept, the first `capacity` of them, for who takes them: what happens before
  // anyone can have subscribed, such as the recovery at start-up.
  void KeepBacklog(uint32_t topics, size_t capacity, BacklogFor whose = BacklogFor::kFirst);
  // Nobody is going to take it.
  void DropBacklog();

 private:
  friend class Subscription;
  void Remove(const std::shared_ptr<Subscription::State>& state);

  mutable std::mutex mutex_;
  uint64_t last_sequence_ = 0;
  std::vector<std::shared_ptr<Subscription::State>> subscribers_;
  std::shared_ptr<Subscription::State> backlog_;  // nullptr: none is kept; never woken
  BacklogFor backlog_for_ = BacklogFor::kFirst;
};

}  // namespace berth

#endif  // BERTH_CORE_BUS_EVENT_BUS_H_
