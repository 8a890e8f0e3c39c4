#include "tools/bench/samples.h"

#include <gtest/gtest.h>

namespace berth {
namespace {

TEST(SamplesTest, Percentiles) {
  Samples samples;
  for (int i = 10; i >= 1; --i) samples.Add(i);
  EXPECT_EQ(samples.Percentile(0.5), 5);
  EXPECT_EQ(samples.Percentile(0.9), 9);
  EXPECT_EQ(samples.Percentile(1), 10);
  EXPECT_EQ(samples.Percentile(0), 1);
}

TEST(SamplesTest, TableHasEveryRowOnce) {
  Results a("a"), b("b");
  a.Set("time, ms", 1.25);
  a.Set("only a", 2);
  b.Set("time, ms", 3);
  EXPECT_EQ(Table({a, b}),
            "| | a p50 | p90 | b p50 | p90 |\n|---|---:|---:|---:|---:|\n"
            "| time, ms | 1.2 | 1.2 | 3.0 | 3.0 |\n| only a | 2.0 | 2.0 | - | - |\n");
}

}  // namespace
}  // namespace berth
