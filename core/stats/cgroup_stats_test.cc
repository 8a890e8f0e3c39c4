#include "core/stats/cgroup_stats.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/unique_fd.h"

namespace berth {
namespace {

constexpr size_t kMegabyte = 1 << 20;

// A child in a group of its own that has used 32 MB and some CPU time.
class CgroupStatsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto tree = CgroupTree::Detect();
    ASSERT_TRUE(tree.ok()) << tree.status();
    tree_ = *std::move(tree);
    ASSERT_TRUE(tree_.Make(group_).ok());
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    child_ = fork();
    ASSERT_GE(child_, 0);
    if (child_ == 0) {
      char go = 0;
      if (read(ready[0], &go, 1) != 1) _exit(1);
      std::vector<char> memory(32 * kMegabyte);
      memset(memory.data(), 1, memory.size());
      kill(getpid(), SIGSTOP);
      _exit(memory[5] == 1 ? 0 : 1);
    }
    ASSERT_TRUE(tree_.Join(group_, child_).ok());
    ASSERT_EQ(write(ready[1], "x", 1), 1);
    close(ready[0]);
    close(ready[1]);
    int status = 0;
    ASSERT_EQ(waitpid(child_, &status, WUNTRACED), child_);
    ASSERT_TRUE(WIFSTOPPED(status));
  }
  void TearDown() override {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    EXPECT_TRUE(tree_.Remove(group_).ok());
  }
  void Write(const std::string& name, const std::string& value) {
    auto fd = OpenFile(tree_.FileOf(group_, name), O_WRONLY);
    ASSERT_TRUE(fd.ok()) << fd.status();
    ASSERT_TRUE(WriteAll(fd->get(), value).ok());
  }

  CgroupTree tree_;
  const std::string group_ = absl::StrCat("/berth_test_stats_", getpid());
  pid_t child_ = -1;
};

TEST_F(CgroupStatsTest, CountsWhatAProcessUses) {
  const CgroupStats stats = ReadCgroupStats(tree_, group_);
  EXPECT_GT(stats.at_unix_ns, 0);
  ASSERT_TRUE(stats.cpu_ns.has_value());
  EXPECT_GT(*stats.cpu_ns, 0u);
  ASSERT_TRUE(stats.memory.has_value());
  EXPECT_GE(stats.memory->usage_bytes, 32 * kMegabyte);
  EXPECT_GE(stats.memory->rss_bytes, 32 * kMegabyte);
  EXPECT_GE(stats.memory->working_set_bytes, 32 * kMegabyte);
  EXPECT_LE(stats.memory->working_set_bytes, stats.memory->usage_bytes);
  EXPECT_GT(stats.memory->page_faults, 0u);
  EXPECT_EQ(stats.memory->available_bytes, 0u) << "there is no limit";
  EXPECT_EQ(stats.cpu_pressure.has_value(), tree_.version() == 2 && access("/proc/pressure/cpu", R_OK) == 0);
}

TEST_F(CgroupStatsTest, WhatIsAvailableComesFromTheLimit) {
  Write(tree_.version() == 2 ? "memory.max" : "memory.limit_in_bytes", absl::StrCat(128 * kMegabyte));
  const CgroupStats stats = ReadCgroupStats(tree_, group_);
  ASSERT_TRUE(stats.memory.has_value());
  EXPECT_EQ(stats.memory->available_bytes, 128 * kMegabyte - stats.memory->working_set_bytes);
}

TEST_F(CgroupStatsTest, AGroupThatIsGoneHasNoParts) {
  const CgroupStats stats = ReadCgroupStats(tree_, group_ + "/none");
  EXPECT_FALSE(stats.cpu_ns.has_value());
  EXPECT_FALSE(stats.memory.has_value());
  EXPECT_FALSE(stats.swap.has_value());
  EXPECT_FALSE(stats.io_pressure.has_value());
}

TEST(ParsePressure, BothLines) {
  const auto pressure = ParsePressure(
      "some avg10=1.50 avg60=2.00 avg300=0.25 total=123\n"
      "full avg10=0.00 avg60=0.10 avg300=0.00 total=7\n");
  ASSERT_TRUE(pressure.has_value());
  EXPECT_EQ(pressure->some.avg10, 1.5);
  EXPECT_EQ(pressure->some.avg60, 2.0);
  EXPECT_EQ(pressure->some.avg300, 0.25);
  EXPECT_EQ(pressure->some.total_ns, 123'000u) << "the file has microseconds";
  EXPECT_EQ(pressure->full.avg60, 0.1);
  EXPECT_EQ(pressure->full.total_ns, 7'000u);
}

TEST(ParsePressure, WhatIsNone) {
  EXPECT_FALSE(ParsePressure("").has_value());
  EXPECT_FALSE(ParsePressure("usage_usec 5\n").has_value());
  EXPECT_FALSE(ParsePressure("some avg10= total=\n").has_value());
}

}  // namespace
}  // namespace berth
