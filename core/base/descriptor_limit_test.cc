#include "core/base/descriptor_limit.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdlib>

namespace berth {
namespace {

TEST(DescriptorLimitTest, IsRaisedAndTheOldOneIsRemembered) {
  rlimit limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  ASSERT_GT(limit.rlim_max, 100u);
  limit.rlim_cur = 100;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(RaiseDescriptorLimit(), 100u);
  EXPECT_EQ(DescriptorLimit(), limit.rlim_max);
  // As a program that this one starts finds it.
  EXPECT_EQ(RaiseDescriptorLimit(), 100u);
  // What somebody else put there counts for nothing.
  setenv("BERTH_DESCRIPTOR_LIMIT", "much", 1);
  EXPECT_EQ(RaiseDescriptorLimit(), limit.rlim_max);
}

}  // namespace
}  // namespace berth
