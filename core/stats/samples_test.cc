#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/status/status.h"
#include "core/stats/cpu_rate.h"
#include "core/stats/disk_usage.h"

namespace berth {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

TEST(CpuRate, IsThatOfTheTimeSinceTheLookBefore) {
  CpuRate rate;
  EXPECT_EQ(rate.Add(5 * kSecond, 1000), std::nullopt);
  EXPECT_EQ(rate.Add(6 * kSecond, 1000 + kSecond / 2), kSecond / 2) << "half a core";
  EXPECT_EQ(rate.Add(8 * kSecond, 1000 + kSecond / 2 + 4 * kSecond), 2 * kSecond) << "two cores";
  EXPECT_EQ(rate.Add(9 * kSecond, 1000 + kSecond / 2 + 4 * kSecond), 0) << "idle";
}

TEST(CpuRate, ALookTooSoonAfterAnotherGetsTheSameAnswer) {
  CpuRate rate;
  rate.Add(kSecond, 0);
  EXPECT_EQ(rate.Add(kSecond + 1, 1), std::nullopt);
  EXPECT_EQ(rate.Add(2 * kSecond, kSecond), kSecond);
  EXPECT_EQ(rate.Add(2 * kSecond + CpuRate::kShortestNs - 1, 2 * kSecond), kSecond);
}

TEST(CpuRate, ACounterThatWentBackStartsAnew) {
  CpuRate rate;
  rate.Add(kSecond, 100);
  EXPECT_EQ(rate.Add(2 * kSecond, 50), std::nullopt);
  EXPECT_EQ(rate.Add(3 * kSecond, 50 + kSecond), kSecond);
}

TEST(DiskUsage, IsMeasuredOnceForAWhile) {
  DiskUsage usage;
  int measured = 0;
  for (int i = 0; i < 3; ++i) {
    const auto got = usage.Get([&] {
      ++measured;
      return SnapshotUsage{.bytes = 4096, .inodes = 2};
    });
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(got->usage.bytes, 4096u);
    EXPECT_GT(got->at_unix_ns, 0);
  }
  EXPECT_EQ(measured, 1);
}

TEST(DiskUsage, AFailureIsTriedAgain) {
  DiskUsage usage;
  EXPECT_EQ(usage.Get([] { return absl::NotFoundError("gone"); }), std::nullopt);
  EXPECT_TRUE(usage.Get([] { return SnapshotUsage{.bytes = 1, .inodes = 1}; }).has_value());
}

TEST(DiskUsage, ThoseWhoComeWhileItIsMeasuredForTheFirstTimeWaitForIt) {
  DiskUsage usage;
  std::atomic<int> measured{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const auto got = usage.Get([&] {
        ++measured;
        return SnapshotUsage{.bytes = 7, .inodes = 1};
      });
      ASSERT_TRUE(got.has_value());
      EXPECT_EQ(got->usage.bytes, 7u);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(measured, 1);
}

}  // namespace
}  // namespace berth
