#include "core/pod/id_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth {
namespace {

using ::testing::HasSubstr;

class IdTableTest : public ::testing::Test {
 protected:
  IdTableTest() {
    table_.Insert("aa11", "one", std::make_shared<int>(1));
    table_.Insert("aa22", "two", std::make_shared<int>(2));
  }
  IdTable<int> table_{"thing"};
};

TEST_F(IdTableTest, FindsByIdAndUniquePrefix) {
  EXPECT_EQ(**table_.Find("aa11"), 1);
  EXPECT_EQ(**table_.Find("aa2"), 2);
  EXPECT_EQ(table_.Find("aa").status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(table_.Find("aa").status().message(), HasSubstr("beginning of several"));
  EXPECT_THAT(table_.Find("zz").status().message(), HasSubstr("thing zz does not exist"));
}

TEST_F(IdTableTest, AFullIdIsFoundThoughOthersBeginWithIt) {
  table_.Insert("aa11b", "three", std::make_shared<int>(3));
  EXPECT_EQ(**table_.Find("aa11"), 1);
}

TEST_F(IdTableTest, BadIdsAreInvalid) {
  EXPECT_EQ(table_.Find("").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(table_.Find(std::string(65, 'a')).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(table_.Find("a\nb").status().message(), HasSubstr("with that id")) << "not echoed";
}

TEST_F(IdTableTest, ANameIsHeldByOne) {
  const auto [owner, fresh] = table_.Insert("bb33", "one", std::make_shared<int>(9));
  EXPECT_FALSE(fresh);
  EXPECT_EQ(*owner, 1);
  EXPECT_FALSE(table_.Find("bb33").ok());
}

TEST_F(IdTableTest, AReleasedNameIsFreeAndItsOldOwnerStays) {
  table_.ReleaseName("aa11", "one");
  EXPECT_TRUE(table_.Insert("bb33", "one", std::make_shared<int>(3)).second);
  EXPECT_EQ(**table_.Find("aa11"), 1);
  table_.Erase("aa11", "one");  // must not take the name from its new owner
  EXPECT_FALSE(table_.Insert("cc44", "one", std::make_shared<int>(4)).second);
  EXPECT_EQ(table_.All().size(), 2u);
}

TEST_F(IdTableTest, AnUnnamedEntryTakesNoNameFromAnother) {
  table_.InsertUnnamed("bb33", std::make_shared<int>(3));
  EXPECT_EQ(**table_.Find("bb33"), 3);
  table_.Erase("bb33", "one");
  EXPECT_FALSE(table_.Find("bb33").ok());
  EXPECT_EQ(*table_.Insert("cc44", "one", std::make_shared<int>(4)).first, 1) << "the name is its owner's still";
}

}  // namespace
}  // namespace berth
