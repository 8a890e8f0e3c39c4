// The file snapshot_overlay.so, loaded as the daemon loads it.
#include <gtest/gtest.h>

#include "core/plugin/conformance/snapshotter_suite.h"

namespace berth {
namespace {

constexpr char kSo[] = "plugins/snapshot_overlay/snapshot_overlay.so";

ConfigValue::Table RootIn(const std::string& directory) {
  ConfigValue::Table config;
  config["root"].value = directory + "/snapshots";
  return config;
}

INSTANTIATE_TEST_SUITE_P(SnapshotOverlay, SnapshotterSuite, testing::Values(SnapshotterUnderTest{kSo, &RootIn}));

TEST(SnapshotOverlayPlugin, KeepsSnapshotsBelowTheDaemonsRoot) {
  PluginUnderTest plugin(kSo);
  const auto made = plugin.plugins().MakeSnapshotter(plugin.name(), {});
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ((*made)->root(), plugin.scratch() + "/lib/snapshots/snapshot_overlay");
}

TEST(SnapshotOverlayPlugin, WrongConfigurationIsNamed) {
  PluginUnderTest plugin(kSo);
  ConfigValue::Table config;
  config["root"].value = std::string("relative");
  absl::Status status = plugin.plugins().MakeSnapshotter(plugin.name(), config).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_NE(status.message().find("root"), absl::string_view::npos) << status;
  config["root"].value = std::string("/proc/nowhere");
  status = plugin.plugins().MakeSnapshotter(plugin.name(), config).status();
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find("/proc/nowhere"), absl::string_view::npos) << status;
}

}  // namespace
}  // namespace berth
