#include "plugins/json/bounded_json.h"

#include <gtest/gtest.h>

namespace berth::json {
namespace {

TEST(BoundedJson, ReadsMembersOfTheRightType) {
  const auto v = Parse(R"({"s":"text","n":7,"neg":-1,"b":true,"a":[1,2],"o":{}})", "test", 1000);
  ASSERT_TRUE(v.ok()) << v.status().message();
  EXPECT_EQ(StringMember(*v, "s"), "text");
  EXPECT_EQ(UintMember(*v, "n"), 7u);
  EXPECT_TRUE(BoolMember(*v, "b", false));
  EXPECT_EQ(ArrayMember(*v, "a").size(), 2u);
}

TEST(BoundedJson, AnotherTypeIsAbsent) {
  const auto v = Parse(R"({"s":1,"n":"7","neg":-1,"a":{}})", "test", 1000);
  ASSERT_TRUE(v.ok());
  EXPECT_EQ(StringMember(*v, "s", "none"), "none");
  EXPECT_FALSE(UintMember(*v, "n").has_value());
  EXPECT_FALSE(UintMember(*v, "neg").has_value());
  EXPECT_TRUE(ArrayMember(*v, "a").empty());
  EXPECT_EQ(Member(Value(3), "x"), nullptr);
  EXPECT_EQ(StringMember(Value::array(), "x", "f"), "f");
}

TEST(BoundedJson, GarbageIsNamedWithItsPlace) {
  const auto v = Parse("{\"a\": nope}", "the file", 1000);
  ASSERT_FALSE(v.ok());
  EXPECT_EQ(v.status().code(), sdk::Code::kInvalidArgument);
  EXPECT_EQ(v.status().message(), "the file: not JSON at byte 8");
}

TEST(BoundedJson, RefusesWhatIsTooLargeOrTooDeep) {
  EXPECT_EQ(Parse(std::string(100, ' '), "x", 99).status().code(), sdk::Code::kResourceExhausted);
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  EXPECT_EQ(Parse(deep, "x", 1 << 20).status().code(), sdk::Code::kInvalidArgument);
  EXPECT_TRUE(Parse(R"(["[[[[[\"[[[["])", "x", 100).ok());
  EXPECT_FALSE(Parse("1e999999", "x", 100).ok());
}

TEST(BoundedJson, DumpSurvivesBadUtf8) { EXPECT_EQ(Dump(Value(std::string("a\xff"))), "\"a\xef\xbf\xbd\""); }

}  // namespace
}  // namespace berth::json
