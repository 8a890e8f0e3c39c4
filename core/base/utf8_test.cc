#include "core/base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace berth {
namespace {

TEST(FirstNotUtf8, WhatIsUtf8IsReadToItsEnd) {
  for (const std::string text : {"", "plain", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                                 "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(FirstNotUtf8(text), text.size());
    EXPECT_EQ(FirstNotUtf8(text + "x" + text), 2 * text.size() + 1);
  }
  EXPECT_EQ(FirstNotUtf8(absl::string_view("a\0b", 3)), 3u);
}

TEST(FirstNotUtf8, WhatIsNotIsFoundWhereItBegins) {
  for (const std::string text : {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2x", "\xc2\xc2", "\xe0\x9f\xbf",
                                 "\xe1\x80", "\xe1\x80x", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf",
                                 "\xf1\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    EXPECT_EQ(FirstNotUtf8("ok" + text), 2u);
    EXPECT_EQ(FirstNotUtf8("ok" + text + "more"), 2u);
  }
}

}  // namespace
}  // namespace berth
