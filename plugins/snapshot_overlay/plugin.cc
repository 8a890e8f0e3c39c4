// The plugin snapshot_overlay: configuration in, OverlaySnapshotter out. README.md has the keys.
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "berth/sdk/snapshotter.h"
#include "plugins/snapshot_overlay/overlay_snapshotter.h"
#include "plugins/snapshot_overlay/probe.h"

namespace berth::snapshot_overlay {
namespace {

class Plugin : public sdk::Snapshotter {
 public:
  explicit Plugin(const sdk::Host& host) {
    const std::string root = host.config().Path("root", host.root() + "/snapshots/" + host.instance());
    auto opened = OverlaySnapshotter::Open(root);
    if (!opened.ok()) throw sdk::internal::StatusException(opened.status());
    snapshots_ = *std::move(opened);
  }

  uint64_t capabilities() const override {
    return sdk::kParentAtCommit | (KernelMapsLayers() ? uint64_t{sdk::kIdMapped} : 0);
  }
  std::string root() const override { return snapshots_->root(); }

  sdk::Result<sdk::PreparedSnapshot> Prepare(const sdk::Call&, const sdk::SnapshotRequest& request) override {
    return snapshots_->Prepare(request);
  }
  sdk::Result<std::vector<sdk::Mount>> Mounts(const sdk::Call&, const sdk::SnapshotRequest& request) override {
    return snapshots_->Mounts(request);
  }
  sdk::Status Commit(const sdk::Call&, const std::string& key, const std::vector<std::string>& parents) override {
    return snapshots_->Commit(key, parents);
  }
  sdk::Status Remove(const sdk::Call&, const std::string& key) override { return snapshots_->Remove(key); }
  sdk::Result<sdk::SnapshotInfo> Stat(const sdk::Call&, const std::string& key) override {
    return snapshots_->Stat(key);
  }
  sdk::Result<sdk::SnapshotUsage> Usage(const sdk::Call& call, const std::string& key) override {
    return snapshots_->Usage(key, GiveUp(call));
  }
  sdk::Status Walk(const sdk::Call&, const std::function<void(const sdk::SnapshotInfo&)>& visit) override {
    return snapshots_->Walk(visit);
  }
  sdk::Status Cleanup(const sdk::Call& call) override { return snapshots_->Cleanup(GiveUp(call)); }

 private:
  static std::function<bool()> GiveUp(const sdk::Call& call) {
    return [&call] { return !call.Check().ok(); };
  }

  std::unique_ptr<OverlaySnapshotter> snapshots_;
};

}  // namespace
}  // namespace berth::snapshot_overlay

BERTH_SNAPSHOTTER_PLUGIN("snapshot_overlay", "0.1.0", berth::snapshot_overlay::Plugin);
