#include "core/bus/event_bus.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace berth {
namespace {

Event Make(Topic topic, std::string id) {
  Event event;
  event.topic = topic;
  event.id = std::move(id);
  return event;
}

TEST(EventBusTest, TellsSubscribersOfTheTopicOnly) {
  EventBus bus;
  int wakes = 0;
  auto pods = bus.Subscribe(static_cast<uint32_t>(Topic::kPod), 8, [&] { ++wakes; });
  EXPECT_EQ(bus.Publish(Make(Topic::kImage, "i")), 1u);
  EXPECT_EQ(bus.Publish(Make(Topic::kPod, "p")), 2u);
  EXPECT_EQ(wakes, 1);
  auto item = pods->Poll();
  ASSERT_TRUE(item);
  EXPECT_EQ(item->event->id, "p");
  EXPECT_EQ(item->event->sequence, 2u);
  EXPECT_FALSE(pods->Poll());
}

TEST(EventBusTest, ASlowSubscriberIsToldWhatItLost) {
  EventBus bus;
  auto slow = bus.Subscribe(kAllTopics, 2, [] {});
  auto fast = bus.Subscribe(kAllTopics, 100, [] {});
  for (int i = 0; i < 5; ++i) bus.Publish(Make(Topic::kPod, std::to_string(i)));
  EXPECT_EQ(slow->Poll()->event->id, "0");
  EXPECT_EQ(slow->Poll()->event->id, "1");
  EXPECT_FALSE(slow->Poll());
  bus.Publish(Make(Topic::kPod, "5"));
  auto item = slow->Poll();
  ASSERT_TRUE(item);
  EXPECT_EQ(item->event->id, "5");
  EXPECT_EQ(item->lost_before, 3u);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(fast->Poll()->lost_before, 0u);
}

TEST(EventBusTest, ABacklogForEveryoneIsForEveryone) {
  EventBus bus;
  bus.KeepBacklog(kAllTopics, 8, BacklogFor::kEveryone);
  bus.Publish(Make(Topic::kPod, "a"));
  const auto take = [&] {
    return bus.Subscribe(
        kAllTopics, 8, [] {}, Backlog::kTake);
  };
  auto first = take();
  bus.Publish(Make(Topic::kPod, "b"));
  auto second = take();
  bus.DropBacklog();
  auto third = take();
  for (auto* subscription : {first.get(), second.get()}) {
    EXPECT_EQ(subscription->Poll()->event->id, "a");
    EXPECT_EQ(subscription->Poll()->event->id, "b");
    EXPECT_FALSE(subscription->Poll());
  }
  EXPECT_FALSE(third->Poll());
}

TEST(EventBusTest, TheFirstWhoTakesTheBacklogGetsWhatHappenedBefore) {
  EventBus bus;
  bus.Publish(Make(Topic::kPod, "too early"));
  bus.KeepBacklog(static_cast<uint32_t>(Topic::kPod), 2);
  for (const char* id : {"a", "b", "lost"}) bus.Publish(Make(Topic::kPod, id));
  bus.Publish(Make(Topic::kImage, "of another topic"));
  auto other = bus.Subscribe(kAllTopics, 8, [] {});
  EXPECT_FALSE(other->Poll());
  auto first = bus.Subscribe(
      static_cast<uint32_t>(Topic::kPod), 8, [] {}, Backlog::kTake);
  auto second = bus.Subscribe(
      static_cast<uint32_t>(Topic::kPod), 8, [] {}, Backlog::kTake);
  bus.Publish(Make(Topic::kPod, "now"));
  EXPECT_EQ(first->Poll()->event->id, "a");
  EXPECT_EQ(first->Poll()->event->id, "b");
  auto now = first->Poll();
  EXPECT_EQ(now->event->id, "now");
  EXPECT_EQ(now->lost_before, 1u);
  EXPECT_EQ(second->Poll()->event->id, "now");
  EXPECT_FALSE(second->Poll());
}

TEST(EventBusTest, ADroppedBacklogIsNobodys) {
  EventBus bus;
  bus.KeepBacklog(kAllTopics, 2);
  bus.Publish(Make(Topic::kPod, "a"));
  bus.DropBacklog();
  EXPECT_FALSE(bus.Subscribe(
                      kAllTopics, 8, [] {}, Backlog::kTake)
                   ->Poll());
}

TEST(EventBusTest, KnowsWhetherAnyoneListens) {
  EventBus bus;
  EXPECT_FALSE(bus.HasListeners(Topic::kPod));
  auto subscription = bus.Subscribe(static_cast<uint32_t>(Topic::kPod), 10, nullptr);
  EXPECT_TRUE(bus.HasListeners(Topic::kPod));
  EXPECT_FALSE(bus.HasListeners(Topic::kImage));
  subscription.reset();
  EXPECT_FALSE(bus.HasListeners(Topic::kPod));
  bus.KeepBacklog(static_cast<uint32_t>(Topic::kImage), 10);
  EXPECT_TRUE(bus.HasListeners(Topic::kImage));
  EXPECT_FALSE(bus.HasListeners(Topic::kPod));
  bus.DropBacklog();
  EXPECT_FALSE(bus.HasListeners(Topic::kImage));
}

TEST(EventBusTest, NoWakeAfterUnsubscribing) {
  EventBus bus;
  std::atomic<bool> alive{true}, late{false}, stop{false};
  std::thread publisher([&] {
    while (!stop) bus.Publish(Make(Topic::kPod, "x"));
  });
  for (int i = 0; i < 200; ++i) {
    alive = true;
    auto subscription = bus.Subscribe(kAllTopics, 4, [&] { late = late || !alive; });
    subscription.reset();
    alive = false;
  }
  stop = true;
  publisher.join();
  EXPECT_FALSE(late);
}

TEST(EventBusTest, SequencesOfConcurrentPublishersAreInOrderWithoutGaps) {
  EventBus bus;
  auto all = bus.Subscribe(kAllTopics, 4000, [] {});
  std::vector<std::thread> publishers;
  for (int t = 0; t < 4; ++t) {
    publishers.emplace_back([&] {
      for (int i = 0; i < 500; ++i) bus.Publish(Make(Topic::kContainer, "c"));
    });
  }
  for (std::thread& thread : publishers) thread.join();
  for (uint64_t expected = 1; expected <= 2000; ++expected) {
    auto item = all->Poll();
    ASSERT_TRUE(item);
    ASSERT_EQ(item->event->sequence, expected);
  }
}

}  // namespace
}  // namespace berth
