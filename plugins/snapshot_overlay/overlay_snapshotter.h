// Snapshots on overlayfs: one directory per layer, stacked by the kernel when a container starts.
//
// There is no state but the directories themselves (layout.h) and every change is one rename or mkdir, so there is
// nothing to recover: what a crash left half made is an active key that the host's sweep removes.
#ifndef BERTH_PLUGINS_SNAPSHOT_OVERLAY_OVERLAY_SNAPSHOTTER_H_
#define BERTH_PLUGINS_SNAPSHOT_OVERLAY_OVERLAY_SNAPSHOTTER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "berth/sdk/snapshotter.h"

namespace berth::snapshot_overlay {

// Any thread. Holds four descriptors; two processes may use one root at once.
class OverlaySnapshotter {
 public:
  // Makes `root` (0700) when missing and probes overlayfs there.
  static sdk::Result<std::unique_ptr<OverlaySnapshotter>> Open(const std::string& root);

  const std::string& root() const { return root_; }

  // As in berth/sdk/snapshotter.h.
  sdk::Result<sdk::PreparedSnapshot> Prepare(const sdk::SnapshotRequest& request);
  sdk::Result<std::vector<sdk::Mount>> Mounts(const sdk::SnapshotRequest& request) const;
  sdk::Status Commit(const std::string& key, const std::vector<std::string>& parents);
  sdk::Status Remove(const std::string& key);
  sdk::Result<sdk::SnapshotInfo> Stat(const std::string& key) const;
  sdk::Result<sdk::SnapshotUsage> Usage(const std::string& key, const std::function<bool()>& give_up) const;
  sdk::Status Walk(const std::function<void(const sdk::SnapshotInfo&)>& visit) const;
  sdk::Status Cleanup(const std::function<bool()>& give_up);

 private:
  explicit OverlaySnapshotter(std::string root) : root_(std::move(root)) {}

  sdk::Status OpenDirectories();
  sdk::Status Probe();
  sdk::Status DiscardOldProbes();
  sdk::Status CheckRequest(const sdk::SnapshotRequest& request) const;
  sdk::Status CheckParents(const std::vector<std::string>& parents) const;
  sdk::Status MakeActive(const sdk::SnapshotRequest& request, sdk::PreparedSnapshot* out);
  sdk::Status CopyRootAttributes(const std::string& parent, int fs_fd) const;

  const std::string root_;
  sdk::UniqueFd root_fd_, active_, layers_, trash_;
};

}  // namespace berth::snapshot_overlay

#endif  // BERTH_PLUGINS_SNAPSHOT_OVERLAY_OVERLAY_SNAPSHOTTER_H_
