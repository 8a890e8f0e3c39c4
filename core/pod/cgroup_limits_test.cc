#include "core/pod/cgroup_limits.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"

namespace berth {
namespace {

class CgroupLimitsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto tree = CgroupTree::Detect();
    ASSERT_TRUE(tree.ok()) << tree.status();
    tree_ = *std::move(tree);
    ASSERT_TRUE(tree_.Make(group_).ok());
  }
  void TearDown() override { EXPECT_TRUE(tree_.Remove(group_).ok()); }
  std::string Memory() const { return tree_.version() == 2 ? "memory.max" : "memory.limit_in_bytes"; }
  std::string Read(const std::string& name) const { return ReadFile(tree_.FileOf(group_, name)).value_or(""); }

  CgroupTree tree_;
  const std::string group_ = absl::StrCat("/berth_test_limits_", getpid());
};

TEST_F(CgroupLimitsTest, WhatWasReadCanBePutBack) {
  const CgroupLimits before = ReadLimits(tree_, group_);
  ASSERT_EQ(before.count(Memory()), 1u);
  ASSERT_TRUE(WriteLimits(tree_, group_, {{Memory(), "8388608"}}).ok());
  EXPECT_EQ(Read(Memory()), "8388608\n");
  ASSERT_TRUE(WriteLimits(tree_, group_, before).ok());
  EXPECT_EQ(ReadLimits(tree_, group_), before);
}

TEST_F(CgroupLimitsTest, TheOrderThatTheKernelWantsIsFound) {
  if (tree_.version() != 1 || ReadLimits(tree_, group_).count("memory.memsw.limit_in_bytes") == 0) {
    GTEST_SKIP() << "no two limits of this kernel depend on each other";
  }
  const CgroupLimits unlimited = ReadLimits(tree_, group_);
  const CgroupLimits small = {{"memory.limit_in_bytes", "8388608"}, {"memory.memsw.limit_in_bytes", "8388608"}};
  const CgroupLimits large = {{"memory.limit_in_bytes", "16777216"}, {"memory.memsw.limit_in_bytes", "16777216"}};
  for (const CgroupLimits& limits : {small, large, small, unlimited}) {
    ASSERT_TRUE(WriteLimits(tree_, group_, limits).ok());
    for (const auto& [name, value] : limits) EXPECT_EQ(Read(name), value + "\n");
  }
}

TEST_F(CgroupLimitsTest, WhatTheKernelRefusesIsAnErrorThatNamesTheFile) {
  const absl::Status refused = WriteLimits(tree_, group_, {{Memory(), "much"}});
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << refused;
  EXPECT_NE(refused.message().find(Memory()), refused.message().npos);
  EXPECT_FALSE(WriteLimits(tree_, group_, {{"memory.no_such_file", "1"}}).ok());
  EXPECT_FALSE(WriteLimits(tree_, group_, {{"nonsense.file", "1"}}).ok());
}

TEST_F(CgroupLimitsTest, AGroupThatIsGoneHasNone) {
  EXPECT_TRUE(ReadLimits(tree_, group_ + "/gone").empty());
  EXPECT_TRUE(WriteLimits(tree_, group_ + "/gone", {{Memory(), "8388608"}}).ok());
}

}  // namespace
}  // namespace berth
