// SELinux labels of a container: what its processes and its files get. Pure functions.
#ifndef BERTH_CORE_OCI_SELINUX_H_
#define BERTH_CORE_OCI_SELINUX_H_

#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/cri/v1/api.pb.h"

namespace berth::oci {

// USER:ROLE:TYPE:LEVEL of selinux(8).
struct SelinuxContext {
  std::string user, role, type, level;
  std::string ToString() const;
};
// kInvalidArgument for what is none.
absl::StatusOr<SelinuxContext> ParseSelinuxContext(absl::string_view text);

// What the policy of a node gives to containers: container_t and container_file_t.
struct SelinuxContexts {
  SelinuxContext process, file;
};

// "": none is set, and what the kernel has without one stays.
struct SelinuxLabels {
  std::string process, file;
};

// kInvalidArgument for options of which no context can be made, where SELinux is off as well: a level is like s0:c1,c2.
absl::Status CheckSelinuxOptions(const runtime::v1::SELinuxOption& options);

// A level of two categories that none of `used` is, always the same one for an `id` (64 hex digits) if it can be.
// kResourceExhausted when all are taken.
absl::StatusOr<std::string> FreeSelinuxLevel(absl::string_view id, const std::set<std::string>& used);

// A container's own options go before those of the pod, all of them together, as the kubelet merges them; `pod_level`
// is for all that name no level. The process of a privileged container, and of one that shares the node's PID or IPC
// namespace and names no type, has no label: it runs as its executor does, spc_t in the policy of containers. All
// options are checked ones.
SelinuxLabels SelinuxLabelsOf(const SelinuxContexts& contexts, absl::string_view pod_level,
                              const runtime::v1::LinuxSandboxSecurityContext& pod,
                              const runtime::v1::LinuxContainerSecurityContext& container);

}  // namespace berth::oci

#endif  // BERTH_CORE_OCI_SELINUX_H_
