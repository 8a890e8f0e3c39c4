// What every snapshotter must do. In a test of the plugin's own, with the .so among its `data`:
//
//   INSTANTIATE_TEST_SUITE_P(Mine, SnapshotterSuite, testing::Values(SnapshotterUnderTest{
//       "plugins/mine/mine.so", [](const std::string& directory) {
//         ConfigValue::Table config;
//         config["root"].value = directory + "/snapshots";
//         return config;
//       }}));
//
// Runs as root: it mounts what the snapshotter answers, in a mount namespace of its own.
#ifndef BERTH_CORE_PLUGIN_CONFORMANCE_SNAPSHOTTER_SUITE_H_
#define BERTH_CORE_PLUGIN_CONFORMANCE_SNAPSHOTTER_SUITE_H_

#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "core/plugin/conformance/plugin_under_test.h"
#include "core/plugin/snapshotter.h"
#include "gtest/gtest.h"

namespace berth {

struct SnapshotterUnderTest {
  std::string so;
  ConfigMaker config;
};
inline void PrintTo(const SnapshotterUnderTest& test, std::ostream* out) { *out << test.so; }

class SnapshotterSuite : public testing::TestWithParam<SnapshotterUnderTest> {
 protected:
  SnapshotterSuite();
  void SetUp() override;

  // A new instance over what the old one left, as after a restart.
  void Restart();

  // The layer's files are made by `fill`, in its directory.
  using Fill = std::function<void(const std::string& directory, WhiteoutStyle whiteouts)>;
  void MakeLayer(const std::string& key, const std::vector<std::string>& parents, const Fill& fill);
  absl::StatusOr<PreparedSnapshot> Prepare(const std::string& key, SnapshotKind kind,
                                           const std::vector<std::string>& parents = {});
  std::map<std::string, SnapshotState> Walk();
  bool Has(SnapshotterCapability capability) const { return (snapshotter_->capabilities() & capability) != 0; }
  // Mounts the snapshot and runs `look` with the path of its rootfs.
  void Look(const std::vector<RootfsMount>& mounts, const std::function<void(const std::string& rootfs)>& look);

  PluginUnderTest plugin_;
  std::unique_ptr<Snapshotter> snapshotter_;
};

}  // namespace berth

#endif  // BERTH_CORE_PLUGIN_CONFORMANCE_SNAPSHOTTER_SUITE_H_
