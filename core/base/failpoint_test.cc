#include "core/base/failpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/clock.h"
#include "core/base/status.h"

namespace berth {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

class FailpointTest : public ::testing::Test {
 protected:
  void TearDown() override { ASSERT_TRUE(SetFailpoints("").ok()); }
};

#ifdef BERTH_FAILPOINTS

TEST_F(FailpointTest, PassesUnlessSet) {
  EXPECT_TRUE(Failpoint("test.plain").ok());
  EXPECT_THAT(FailpointsSeen(), Contains("test.plain"));
}

TEST_F(FailpointTest, CountsAndChains) {
  ASSERT_TRUE(SetFailpoints("test.a=1*off->2*return(ENOSPC)->return(EIO);test.b=off").ok());
  EXPECT_TRUE(Failpoint("test.a").ok());
  EXPECT_EQ(ErrnoOf(Failpoint("test.a")), ENOSPC);
  EXPECT_EQ(ErrnoOf(Failpoint("test.a")), ENOSPC);
  EXPECT_EQ(ErrnoOf(Failpoint("test.a")), EIO);
  EXPECT_THAT(Failpoint("test.a").message(), HasSubstr("test.a"));
  EXPECT_TRUE(Failpoint("test.b").ok());
}

TEST_F(FailpointTest, ACrashIsAKill) {
  ASSERT_TRUE(SetFailpoints("test.crash=crash").ok());
  EXPECT_EXIT(Failpoint("test.crash").IgnoreError(), ::testing::KilledBySignal(SIGKILL), "");
}

TEST_F(FailpointTest, Sleeps) {
  ASSERT_TRUE(SetFailpoints("test.sleep=sleep(30)").ok());
  const int64_t before = MonotonicNanos();
  EXPECT_TRUE(Failpoint("test.sleep").ok());
  EXPECT_GE(MonotonicNanos() - before, 30'000'000);
}

#endif  // BERTH_FAILPOINTS

TEST_F(FailpointTest, BadTermsAreNamedAndChangeNothing) {
  for (const char* bad : {"a=explode", "a=return(ENONSENSE)", "a=sleep(x)", "a=z*off", "a"}) {
    EXPECT_EQ(SetFailpoints(bad).code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace berth
