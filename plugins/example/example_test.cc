// All a plugin's test needs at first: the conformance suite of its kind.
#include "core/plugin/conformance/snapshotter_suite.h"

namespace berth {

INSTANTIATE_TEST_SUITE_P(Example, SnapshotterSuite,
                         testing::Values(SnapshotterUnderTest{"plugins/example/example.so",
                                                              [](const std::string& directory) {
                                                                ConfigValue::Table config;
                                                                config["root"].value = directory + "/snapshots";
                                                                return config;
                                                              }}));

}  // namespace berth
