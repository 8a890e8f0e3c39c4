// The `mounts` part of a runtime spec.
#ifndef BERTH_CORE_OCI_MOUNTS_H_
#define BERTH_CORE_OCI_MOUNTS_H_

#include <nlohmann/json.hpp>

#include "core/oci/spec_input.h"

namespace berth::oci {

// The kernel's file systems first, then the pod's files and the volumes, parents before what lies below them. A volume
// takes the place of a default mount at the same destination; one at /dev of all below /dev.
nlohmann::json MountsJson(const SpecInput& input);

// linux.rootfsPropagation that the volumes need; "" none.
std::string RootfsPropagation(const SpecInput& input);

}  // namespace berth::oci

#endif  // BERTH_CORE_OCI_MOUNTS_H_
