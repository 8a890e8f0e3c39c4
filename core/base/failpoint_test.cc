#include "core/base/failpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/id.h"
#include "core/base/log.h"
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

TEST(IdTest, OwnsWhatItMadeAndNothingElse) {
  const IdSource mine("key"), other("other");
  const std::string id = mine.New();
  EXPECT_TRUE(IsId(id));
  EXPECT_TRUE(mine.Owns(id));
  EXPECT_FALSE(other.Owns(id));
  EXPECT_NE(id, mine.New());
  std::string changed = id;
  changed[0] = changed[0] == 'a' ? 'b' : 'a';
  EXPECT_FALSE(mine.Owns(changed));
  EXPECT_FALSE(mine.Owns(id.substr(1)));
}

TEST(IdTest, TheKeyIsMadeOnceAndChecked) {
  char name[] = "/tmp/berth_id_XXXXXX";
  const std::string dir = mkdtemp(name), path = dir + "/id.key";
  auto first = IdSource::FromKeyFile(path);
  ASSERT_TRUE(first.ok()) << first.status();
  auto second = IdSource::FromKeyFile(path);
  ASSERT_TRUE(second.ok());
  EXPECT_TRUE(second->Owns(first->New()));
  for (const char* torn : {"", "short"}) {
    ASSERT_TRUE(WriteFileAtomic(path, torn, 0600, Durability::kVolatile).ok());
    EXPECT_EQ(IdSource::FromKeyFile(path).status().code(), absl::StatusCode::kDataLoss) << torn;
  }
  ASSERT_TRUE(RemoveTree(dir).ok());
}

TEST(LogTest, QuotesWhatNeedsIt) {
  EXPECT_EQ(FormatLogLine(LogLevel::kWarn, "two words", {{"n", 7}, {"s", "a b"}, {"e", ""}, {"nl", "x\ny"}}),
            "level=warning msg=\"two words\" n=7 s=\"a b\" e=\"\" nl=\"x\\ny\"");
}

}  // namespace
}  // namespace berth
