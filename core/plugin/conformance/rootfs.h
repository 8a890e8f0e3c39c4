// A rootfs mounted as a pod's supervisor mounts it, for as long as a test looks at it.
#ifndef BERTH_CORE_PLUGIN_CONFORMANCE_ROOTFS_H_
#define BERTH_CORE_PLUGIN_CONFORMANCE_ROOTFS_H_

#include <functional>
#include <string>
#include <vector>

#include "core/plugin/snapshotter.h"

namespace berth {

// Mounts on the empty directory `rootfs`, in a mount namespace of a child process, and runs `look` there. EXPECTs in it
// count.
void InRootfs(const std::vector<RootfsMount>& mounts, const std::string& rootfs, const std::function<void()>& look);

}  // namespace berth

#endif  // BERTH_CORE_PLUGIN_CONFORMANCE_ROOTFS_H_
