// The volumes that an image declares (image-spec config.md "Volumes"): places that stay writable in a container whose
// root file system is read-only.
#ifndef BERTH_CORE_CONTAINER_IMAGE_VOLUMES_H_
#define BERTH_CORE_CONTAINER_IMAGE_VOLUMES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/oci/volume_mount.h"

namespace berth {

// A volume is the directory that the image has there, made when it has none, mounted on itself: what the image put into
// it is in it, and it lives and dies with the container's snapshot. `rootfs_fd` is the mounted rootfs, `declared` what
// the image says, `configured` the container's own mounts: one at the same place stands for the image's volume.
//
// The image is hostile: links stay inside the rootfs. kInvalidArgument for a volume over the kernel's file systems,
// under which the protection of /proc would be gone, for one that is no directory, and for too many.
absl::StatusOr<std::vector<oci::VolumeMount>> ImageVolumes(int rootfs_fd, const std::vector<std::string>& declared,
                                                           const std::vector<oci::VolumeMount>& configured);

}  // namespace berth

#endif  // BERTH_CORE_CONTAINER_IMAGE_VOLUMES_H_
