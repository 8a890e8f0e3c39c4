#include "core/base/retry_schedule.h"

#include <gtest/gtest.h>

#include <condition_variable>

#include "core/base/clock.h"

namespace berth {
namespace {

constexpr int64_t kMillisecond = 1'000'000;

// Counts attempts, and waits for them.
class Attempts {
 public:
  std::function<void()> One() {
    return [this] {
      std::lock_guard lock(mutex_);
      ++count_;
      changed_.notify_all();
    };
  }
  void WaitFor(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return count_ >= count; });
  }
  int count() {
    std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

TEST(RetryScheduleTest, PausesGrowUntilItSucceeds) {
  RetrySchedule schedule(10 * kMillisecond, 40 * kMillisecond);
  Attempts attempts;
  const auto pause = [&](int nth) {
    const int64_t before = MonotonicNanos();
    schedule.Failed("a", attempts.One());
    attempts.WaitFor(nth);
    return MonotonicNanos() - before;
  };
  EXPECT_GE(pause(1), 10 * kMillisecond);
  EXPECT_GE(pause(2), 20 * kMillisecond);
  EXPECT_GE(pause(3), 40 * kMillisecond);
  EXPECT_GE(pause(4), 40 * kMillisecond);
  schedule.Succeeded("a");
  EXPECT_GE(pause(5), 10 * kMillisecond);
}

TEST(RetryScheduleTest, OneAttemptWaitsForEachKey) {
  RetrySchedule schedule(10 * kMillisecond, kMillisecond * 1000);
  Attempts a, b;
  schedule.Failed("a", a.One());
  schedule.Failed("a", a.One());
  schedule.Failed("b", b.One());
  a.WaitFor(1);
  b.WaitFor(1);
  schedule.Failed("c", b.One());  // by then a second one of `a` would have been called
  b.WaitFor(2);
  EXPECT_EQ(a.count(), 1);
}

TEST(RetryScheduleTest, WhatSucceededIsNotTriedAgain) {
  RetrySchedule schedule(kMillisecond, kMillisecond);
  Attempts dropped, later;
  schedule.Failed("a", dropped.One());
  schedule.Succeeded("a");
  schedule.Failed("b", later.One());
  later.WaitFor(1);
  EXPECT_LE(dropped.count(), 1) << "it may have been under way";
  const int count = dropped.count();
  schedule.Failed("b", later.One());
  later.WaitFor(2);
  EXPECT_EQ(dropped.count(), count);
}

TEST(RetryScheduleTest, NothingIsCalledAfterClose) {
  Attempts attempts;
  RetrySchedule schedule(50 * kMillisecond, 50 * kMillisecond);
  schedule.Failed("a", attempts.One());
  schedule.Close();
  schedule.Failed("b", attempts.One());
  schedule.Close();
  EXPECT_EQ(attempts.count(), 0);
}

}  // namespace
}  // namespace berth
