// Where trees are below the snapshotter's root, and which mounts make a rootfs of them. Pure functions.
//
//   active/KEY/fs, active/KEY/work   being unpacked, or a container's (work only there)
//   layers/KEY/fs                    committed
//   trash/                           removed, waiting for Cleanup
#ifndef BERTH_PLUGINS_SNAPSHOT_OVERLAY_LAYOUT_H_
#define BERTH_PLUGINS_SNAPSHOT_OVERLAY_LAYOUT_H_

#include <string>
#include <string_view>
#include <vector>

#include "berth/sdk/snapshotter.h"
#include "berth/sdk/status.h"

namespace berth::snapshot_overlay {

// mount(2) takes one page of options, its last byte a NUL.
inline constexpr size_t kMaxMountOptions = 4095;
// The kernel's OVL_MAX_STACK.
inline constexpr size_t kMaxLayers = 500;

// OK for [a-z0-9]{1,32}: such a key is a safe name of a directory and needs no escape in mount options.
sdk::Status CheckKey(std::string_view key);

// The mounts of a kContainer or kView. `root` is the snapshotter's, absolute. Overlay options name directories relative
// to root/layers, which the option x-berth.cwd names. kFailedPrecondition when the layers are too many for a mount.
sdk::Result<std::vector<sdk::Mount>> RootfsMounts(const std::string& root, const sdk::SnapshotRequest& request);

}  // namespace berth::snapshot_overlay

#endif  // BERTH_PLUGINS_SNAPSHOT_OVERLAY_LAYOUT_H_
