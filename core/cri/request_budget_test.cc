#include "core/cri/request_budget.h"

#include <gtest/gtest.h>

namespace berth {
namespace {

TEST(RequestBudgetTest, CountsRequests) {
  RequestBudget budget(2, 1000);
  EXPECT_TRUE(budget.Take(0));
  EXPECT_TRUE(budget.Take(0));
  EXPECT_FALSE(budget.Take(0));
  budget.Return(0);
  EXPECT_TRUE(budget.Take(0));
  EXPECT_EQ(budget.held(), 2u);
}

TEST(RequestBudgetTest, CountsBytes) {
  RequestBudget budget(100, 1000);
  EXPECT_TRUE(budget.Take(600));
  EXPECT_FALSE(budget.Take(401));
  EXPECT_TRUE(budget.Take(400));
  budget.Return(600);
  EXPECT_TRUE(budget.Take(600));
}

TEST(RequestBudgetTest, TheOnlyOneMayBeOfAnySize) {
  RequestBudget budget(100, 1000);
  EXPECT_TRUE(budget.Take(5000));
  EXPECT_FALSE(budget.Take(0));
  budget.Return(5000);
  EXPECT_TRUE(budget.Take(1000));
}

}  // namespace
}  // namespace berth
