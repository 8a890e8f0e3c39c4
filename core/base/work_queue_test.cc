#include "core/base/work_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "core/base/clock.h"
#include "core/base/timer.h"

namespace berth {
namespace {

TEST(ThreadPoolTest, RunsEverythingBeforeItIsGone) {
  std::atomic<int> ran{0};
  {
    ThreadPool pool(4);
    for (int i = 0; i < 1000; ++i) pool.Add([&] { ++ran; });
  }
  EXPECT_EQ(ran, 1000);
}

TEST(ThreadPoolTest, HasAtMostItsThreads) {
  std::atomic<int> now{0}, most{0};
  {
    ThreadPool pool(3);
    for (int i = 0; i < 50; ++i) {
      pool.Add([&] {
        const int running = ++now;
        int seen = most;
        while (running > seen && !most.compare_exchange_weak(seen, running)) {
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        --now;
      });
    }
  }
  EXPECT_LE(most, 3);
  EXPECT_GE(most, 2);
}

TEST(ThreadPoolTest, IsIdleOnceNothingWaitsOrRuns) {
  ThreadPool pool(2);
  EXPECT_TRUE(pool.WaitUntilIdle(MonotonicNanos() + 10'000'000'000));
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  std::atomic<int> ran{0};
  for (int i = 0; i < 5; ++i) {
    pool.Add([&, released] {
      released.wait();
      ++ran;
    });
  }
  EXPECT_FALSE(pool.WaitUntilIdle(MonotonicNanos() + 10'000'000));
  release.set_value();
  EXPECT_TRUE(pool.WaitUntilIdle(MonotonicNanos() + 10'000'000'000));
  EXPECT_EQ(ran, 5);
}

TEST(SerialQueueTest, KeepsOrderAndNeverOverlaps) {
  std::vector<int> order;  // unguarded on purpose: tsan sees an overlap
  {
    ThreadPool pool(4);
    SerialQueue queue(&pool);
    for (int i = 0; i < 500; ++i) queue.Add([&order, i] { order.push_back(i); });
  }
  ASSERT_EQ(order.size(), 500u);
  for (int i = 0; i < 500; ++i) EXPECT_EQ(order[i], i);
}

TEST(SerialQueueTest, AStuckQueueDoesNotHoldUpAnother) {
  ThreadPool pool(2);
  SerialQueue stuck(&pool), free(&pool);
  std::promise<void> release, done;
  stuck.Add([&] { release.get_future().wait(); });
  free.Add([&] { done.set_value(); });
  EXPECT_EQ(done.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  release.set_value();
}

TEST(SerialQueueTest, TasksMayAddTasks) {
  std::promise<int> done;
  ThreadPool pool(2);
  SerialQueue queue(&pool);
  queue.Add([&] { queue.Add([&] { done.set_value(7); }); });
  EXPECT_EQ(done.get_future().get(), 7);
}

TEST(SerialQueueTest, AHeldQueueRunsNothingUntilItIsReleased) {
  ThreadPool pool(2);
  SerialQueue queue(&pool);
  std::vector<int> order;
  std::promise<void> done;
  queue.Hold();
  queue.Add([&] { order.push_back(2); });
  queue.Add([&] {
    order.push_back(3);
    done.set_value();
  });
  // The pool is free all the same.
  std::promise<void> other;
  pool.Add([&] { other.set_value(); });
  other.get_future().wait();
  EXPECT_TRUE(order.empty());
  queue.Release([&] { order.push_back(1); });
  done.get_future().wait();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  queue.Release([&] { order.push_back(4); });  // it is not held
  std::promise<void> last;
  queue.Add([&] { last.set_value(); });
  last.get_future().wait();
  EXPECT_EQ(order.size(), 3u);
}

TEST(SerialQueueTest, ATaskMayHoldItsOwnQueue) {
  ThreadPool pool(2);
  SerialQueue queue(&pool);
  for (int round = 0; round < 200; ++round) {
    std::vector<int> order;
    std::promise<void> holding, done;
    queue.Add([&] {
      queue.Hold();
      order.push_back(1);
      holding.set_value();
    });
    queue.Add([&] {
      order.push_back(3);
      done.set_value();
    });
    holding.get_future().wait();
    queue.Release([&] { order.push_back(2); });  // while that task may not have returned
    done.get_future().wait();
    EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  }
}

TEST(TimerQueueTest, CallsInOrderOfTheirTimes) {
  TimerQueue timers;
  std::vector<int> order;
  std::promise<void> done;
  const int64_t now = MonotonicNanos();
  timers.At(now + 60'000'000, [&] {
    order.push_back(2);
    done.set_value();
  });
  timers.At(now + 20'000'000, [&] { order.push_back(1); });
  done.get_future().wait();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(TimerQueueTest, ACancelledCallNeverHappens) {
  TimerQueue timers;
  std::atomic<bool> called{false};
  const auto id = timers.At(MonotonicNanos() + 30'000'000, [&] { called = true; });
  timers.Cancel(id);
  std::promise<void> later;
  timers.At(MonotonicNanos() + 60'000'000, [&] { later.set_value(); });
  later.get_future().wait();
  EXPECT_FALSE(called);
}

TEST(SerialQueueTest, WhatWaitsInAHeldQueueCanBeDropped) {
  ThreadPool pool(2);
  SerialQueue queue(&pool);
  queue.Hold();
  auto captured = std::make_shared<int>(1);
  queue.Add([captured] { ++*captured; });
  queue.Drop();
  EXPECT_EQ(captured.use_count(), 1);
  queue.Release([] {});
  EXPECT_TRUE(pool.WaitUntilIdle(MonotonicNanos() + 10'000'000'000));
  EXPECT_EQ(*captured, 1);
}

TEST(TimerQueueTest, NothingIsCalledOnceItIsClosed) {
  TimerQueue timers;
  std::promise<void> started;
  std::atomic<bool> finished{false}, called{false};
  timers.At(0, [&] {
    started.set_value();
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    finished = true;
  });
  started.get_future().wait();
  const auto waiting = timers.At(MonotonicNanos() + 50'000'000, [&] { called = true; });
  timers.Close();
  EXPECT_TRUE(finished) << "a call under way is waited for";
  const auto late = timers.At(0, [&] { called = true; });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_FALSE(called);
  timers.Cancel(waiting);
  timers.Cancel(late);
}

TEST(TimerQueueTest, CancelWaitsForACallUnderWay) {
  TimerQueue timers;
  std::promise<void> started;
  std::atomic<bool> finished{false};
  const auto id = timers.At(0, [&] {
    started.set_value();
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    finished = true;
  });
  started.get_future().wait();
  timers.Cancel(id);
  EXPECT_TRUE(finished);
}

}  // namespace
}  // namespace berth
