// Makes a container's rootfs in a mount namespace of its own. Runs in the container's short-lived child only: any step
// may hang on a dead file server.
#ifndef BERTH_CORE_SUPERVISOR_PROGRAM_ROOTFS_MOUNT_H_
#define BERTH_CORE_SUPERVISOR_PROGRAM_ROOTFS_MOUNT_H_

#include "core/base/unique_fd.h"
#include "core/supervisor/program/sys.h"

namespace berth::supervisor {

// Clones the mount namespace `mount_ns`, cuts the propagation of our mounts to it, mounts, and opens the rootfs.
// `pod` names the pod's user namespace and its maps, for id-mapped mounts.
Error MountRootfs(int mount_ns, const wire::PrepareContainer& prepare, const wire::LaunchSpec& pod, UniqueFd* rootfs);

}  // namespace berth::supervisor

#endif  // BERTH_CORE_SUPERVISOR_PROGRAM_ROOTFS_MOUNT_H_
