#include "tools/bench/process_times.h"

#include <gtest/gtest.h>

namespace berth {
namespace {

TEST(ProcessTimesTest, ReadsWhatTheWrapperWrites) {
  const auto times = ParseProcessTimes("100 250 crun create --bundle /b abc\n300 400 bridge ADD abc\nrubbish\n");
  ASSERT_EQ(times.size(), 2u);
  EXPECT_TRUE(times[0].executor);
  EXPECT_EQ(times[0].words, "create --bundle /b abc");
  EXPECT_FALSE(times[1].executor);
  EXPECT_EQ(times[1].end, 400);
}

TEST(ProcessTimesTest, OverlapsCountOnceAndOthersNot) {
  const auto times = ParseProcessTimes(
      "100 200 crun x abc\n150 250 crun y abc\n400 500 crun z other\n600 700 bridge ADD abc\n900 1200 crun abc\n");
  EXPECT_EQ(Covered(times, true, "abc", 0, 1000), 150 + 100);
  EXPECT_EQ(Covered(times, true, "abc", 120, 180), 60);
  EXPECT_EQ(Covered(times, false, "abc", 0, 1000), 100);
  EXPECT_EQ(Covered(times, true, "none", 0, 1000), 0);
}

}  // namespace
}  // namespace berth
