// A mount of the container's configuration, ready to be put in a runtime spec.
#ifndef BERTH_CORE_OCI_VOLUME_MOUNT_H_
#define BERTH_CORE_OCI_VOLUME_MOUNT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/cri/v1/api.pb.h"

namespace berth::oci {

struct VolumeMount {
  std::string source;       // absolute, links resolved
  std::string destination;  // absolute, in the container
  bool read_only = false;
  bool recursive_read_only = false;  // the executor must have the feature
  bool id_mapped = false;            // by the pod's user namespace
  runtime::v1::MountPropagation propagation = runtime::v1::PROPAGATION_PRIVATE;
  std::vector<std::string> options;  // further bind options: noexec, nodev, nosuid ...
};

// What can be said of a mount before anything is made for it: its place, propagation and options, and that
// recursive_read_only stands beside readonly and private propagation (its errors begin with RROUnsupported, as the
// kubelet knows it).
absl::Status CheckMountFields(const runtime::v1::Mount& mount);

// The same of a mount that is a bind of `source` (host_path with its links resolved, or a mounted image).
// `can_recursive_read_only`: the executor has the feature; without it a request for it is kFailedPrecondition beginning
// with RROUnsupported.
absl::StatusOr<VolumeMount> CheckVolumeMount(const runtime::v1::Mount& mount, const std::string& source,
                                             bool can_recursive_read_only);

}  // namespace berth::oci

#endif  // BERTH_CORE_OCI_VOLUME_MOUNT_H_
