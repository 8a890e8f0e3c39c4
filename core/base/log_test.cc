#include "core/base/log.h"

#include <gtest/gtest.h>

namespace berth {
namespace {

TEST(LogTest, QuotesWhatNeedsIt) {
  EXPECT_EQ(FormatLogLine(LogLevel::kWarn, "two words", {{"n", 7}, {"s", "a b"}, {"e", ""}, {"nl", "x\ny"}}),
            "level=warning msg=\"two words\" n=7 s=\"a b\" e=\"\" nl=\"x\\ny\"");
}

}  // namespace
}  // namespace berth
