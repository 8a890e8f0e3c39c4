#include "core/daemon/watchdog.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <thread>

namespace berth {
namespace {

constexpr int64_t kMillisecond = 1'000'000;

TEST(WatchdogTest, LivesAsLongAsTheParts) {
  std::atomic<int> asked{0}, alive{0};
  std::mutex mutex;
  std::function<void()> late;
  Watchdog watchdog(
      2 * kMillisecond,
      [&](std::function<void()> answered) {
        if (++asked <= 3) return answered();
        std::lock_guard lock(mutex);
        late = std::move(answered);
      },
      [&] { ++alive; });
  while (asked < 4) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(asked, 4) << "one that hangs is not asked again";
  EXPECT_EQ(alive, 3);
  {
    std::lock_guard lock(mutex);
    late();
  }
  while (alive < 4) std::this_thread::yield();
}

TEST(WatchdogTest, AnAnswerMayComeWhenItIsGone) {
  std::function<void()> late;
  {
    std::atomic<bool> asked{false};
    Watchdog watchdog(
        kMillisecond,
        [&](std::function<void()> answered) {
          late = std::move(answered);
          asked = true;
        },
        [] { ADD_FAILURE() << "nobody has answered"; });
    while (!asked) std::this_thread::yield();
  }
  late();
}

}  // namespace
}  // namespace berth
