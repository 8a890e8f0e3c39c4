// SELinux options of a container. Berth labels nothing yet: where SELinux is enabled, options are refused, not ignored.
#ifndef BERTH_CORE_OCI_SELINUX_H_
#define BERTH_CORE_OCI_SELINUX_H_

#include "absl/status/status.h"
#include "proto/cri/v1/api.pb.h"

namespace berth::oci {

// `enabled`: this node's kernel has SELinux. Without it options mean nothing and are left out, as elsewhere; a level
// that is none ("s0:c1,c2", selinux(8)) is kInvalidArgument all the same. With it a container that asks for a label is
// kFailedPrecondition, unless it is privileged and runs without one.
absl::Status CheckSelinux(const runtime::v1::LinuxContainerSecurityContext& security, bool enabled);

}  // namespace berth::oci

#endif  // BERTH_CORE_OCI_SELINUX_H_
