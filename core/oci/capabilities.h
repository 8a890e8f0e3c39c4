// Linux capabilities of a container: Docker's default set, changed by CRI's add and drop lists.
#ifndef BERTH_CORE_OCI_CAPABILITIES_H_
#define BERTH_CORE_OCI_CAPABILITIES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/cri/v1/api.pb.h"

namespace berth::oci {

// Bit N stands for capability number N.
struct CapabilitySets {
  uint64_t bounding = 0;  // permitted and effective too
  uint64_t ambient = 0;   // inheritable too
};

// Names are taken in any case, with or without CAP_, and "ALL" stands for all; of one in both lists drop wins.
// `available` is what this process can give away: of the defaults and of ALL the rest is left out, but a capability
// asked for by name that is not available is kFailedPrecondition. An unknown name is kInvalidArgument.
absl::StatusOr<CapabilitySets> ResolveCapabilities(const runtime::v1::Capability& wanted, bool privileged,
                                                   uint64_t available);

// "CAP_CHOWN", ... by number.
std::vector<std::string> CapabilityNames(uint64_t set);

// The bit of "CAP_CHOWN" (any case, prefix optional); 0 for an unknown name.
uint64_t CapabilityBit(absl::string_view name);

}  // namespace berth::oci

#endif  // BERTH_CORE_OCI_CAPABILITIES_H_
