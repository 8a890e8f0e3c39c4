// runtime-spec config.json of one container, from its CRI configuration. A pure function: all that the machine and the
// pod contribute is in SpecInput.
#ifndef BERTH_CORE_OCI_RUNTIME_SPEC_H_
#define BERTH_CORE_OCI_RUNTIME_SPEC_H_

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/oci/spec_input.h"

namespace berth::oci {

// kInvalidArgument says which field of the configuration is wrong; kFailedPrecondition what this node lacks.
absl::StatusOr<nlohmann::json> BuildSpec(const SpecInput& input);

// The same in two steps. The first is for before the rootfs is mounted: it looks at neither `user` nor the image's
// volumes, which may be missing from the end of `volumes`.
absl::StatusOr<nlohmann::json> BeginSpec(const SpecInput& input);
absl::Status FinishSpec(const SpecInput& input, nlohmann::json* spec);

}  // namespace berth::oci

#endif  // BERTH_CORE_OCI_RUNTIME_SPEC_H_
