// How the mount that holds a path propagates: what decides whether a volume can be mounted with more than private
// propagation (mount_namespaces(7)).
#ifndef BERTH_CORE_OCI_MOUNT_PROPAGATION_H_
#define BERTH_CORE_OCI_MOUNT_PROPAGATION_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/cri/v1/api.pb.h"

namespace berth::oci {

struct MountPoint {
  std::string path;
  bool shared = false;  // a peer group: "shared:N" in mountinfo
  bool slave = false;   // of one: "master:N"
};

// The mount with this id in the text of /proc/PID/mountinfo (proc(5)). kNotFound if there is none.
absl::StatusOr<MountPoint> FindMount(absl::string_view mountinfo, uint64_t mount_id);

// That `source` can be mounted with `wanted`: HOST_TO_CONTAINER needs a source on a shared mount or a slave of one,
// BIDIRECTIONAL one on a shared mount other than that of `bundle`, which is private wherever the container is made.
// kFailedPrecondition names the mount and what to do. Blocks as stat(2) does.
absl::Status CheckPropagation(const std::string& source, runtime::v1::MountPropagation wanted,
                              const std::string& bundle);

}  // namespace berth::oci

#endif  // BERTH_CORE_OCI_MOUNT_PROPAGATION_H_
