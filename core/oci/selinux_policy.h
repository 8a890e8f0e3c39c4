// What the SELinux policy of this node says of containers.
#ifndef BERTH_CORE_OCI_SELINUX_POLICY_H_
#define BERTH_CORE_OCI_SELINUX_POLICY_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "core/oci/selinux.h"

namespace berth::oci {

// Where a node keeps its SELinux; tests have other places.
struct SelinuxPlaces {
  std::string fs = "/sys/fs/selinux";  // mounted where the kernel has a policy, enforcing or not
  std::string etc = "/etc/selinux";    // config, TYPE/contexts/lxc_contexts
  std::string contexts = "/usr/share/containers/selinux/contexts";  // goes before etc's
};

bool SelinuxIsOn(const SelinuxPlaces& places = {});

// nullopt where SELinux is off. kFailedPrecondition where it is on and its policy knows no containers.
absl::StatusOr<std::optional<SelinuxContexts>> ReadSelinuxContexts(const SelinuxPlaces& places = {});

}  // namespace berth::oci

#endif  // BERTH_CORE_OCI_SELINUX_POLICY_H_
