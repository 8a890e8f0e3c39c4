// main() of the integration tests.
#include <gtest/gtest.h>

#include "tools/integration/isolation.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  // Bazel asks for the list of tests without wanting a world for it.
  if (testing::GTEST_FLAG(list_tests)) return RUN_ALL_TESTS();
  return berth::RunIsolated(argv[0], [] { return RUN_ALL_TESTS(); });
}
