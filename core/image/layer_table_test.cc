#include "core/image/layer_table.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <string>

#include "core/base/unique_fd.h"
#include "gtest/gtest.h"

namespace berth {
namespace {

using Claim = LayerTable::Claim;

state::v1::Layer Row(const std::string& chain_id, const std::string& parent) {
  state::v1::Layer row;
  row.set_chain_id(chain_id);
  row.set_parent_chain_id(parent);
  row.set_snapshot_key("key of " + chain_id);
  row.set_bytes(10);
  return row;
}

class LayerTableTest : public testing::Test {
 protected:
  LayerTableTest() {
    table_.Load(Row("base", ""));
    table_.Load(Row("top", "base"));
    table_.Watch(wake_.get());
  }

  // Watchers have been woken since the last call.
  bool Woken() {
    uint64_t count = 0;
    return read(wake_.get(), &count, sizeof(count)) == sizeof(count);
  }

  LayerTable table_;
  const UniqueFd wake_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
};

TEST_F(LayerTableTest, FreeLayersAreTakenChildrenFirst) {
  const auto free = table_.TakeFree();
  ASSERT_EQ(free.size(), 2u);
  EXPECT_EQ(free[0].chain_id(), "top");
  EXPECT_EQ(free[1].chain_id(), "base");
  EXPECT_EQ(free[1].snapshot_key(), "key of base");
  EXPECT_TRUE(table_.TakeFree().empty());
}

TEST_F(LayerTableTest, ALayerThatGoesIsNotThereAndNobodyMakesItAnew) {
  table_.TakeFree();
  EXPECT_FALSE(table_.Has("base"));
  EXPECT_TRUE(table_.Keys().empty());
  EXPECT_EQ(table_.Total().bytes, 0u);
  EXPECT_FALSE(table_.Rows({"base"}).ok());
  EXPECT_EQ(table_.Acquire("base"), Claim::kBusy);

  EXPECT_FALSE(Woken());
  table_.Forget("base");
  EXPECT_TRUE(Woken());
  EXPECT_EQ(table_.Acquire("base"), Claim::kMine);
  table_.Forget("base");  // no business of a removal any more
  EXPECT_EQ(table_.Acquire("base"), Claim::kBusy);
}

TEST_F(LayerTableTest, ALayerWhoseRemovalFailedIsThereAgain) {
  table_.TakeFree();
  table_.Restore("base");
  EXPECT_TRUE(Woken());
  EXPECT_EQ(table_.Acquire("base"), Claim::kReady);
  ASSERT_TRUE(table_.Rows({"base"}).ok());
  EXPECT_EQ(table_.Rows({"base"})->front().snapshot_key(), "key of base");
  EXPECT_TRUE(table_.TakeFree().empty());
  table_.Release("base");
  EXPECT_EQ(table_.TakeFree().size(), 1u);
}

TEST_F(LayerTableTest, WhatAnImageOrAPullHoldsStays) {
  table_.AddImage({"base"});
  EXPECT_EQ(table_.Acquire("top"), Claim::kReady);
  EXPECT_TRUE(table_.TakeFree().empty());
  table_.Release("top");
  EXPECT_EQ(table_.TakeFree().size(), 1u);
  table_.RemoveImage({"base"});
  EXPECT_EQ(table_.TakeFree().size(), 1u);
}

}  // namespace
}  // namespace berth
