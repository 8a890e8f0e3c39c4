// CRI's LinuxContainerResources as runtime-spec linux.resources, for creation and for updates.
#ifndef BERTH_CORE_OCI_RESOURCES_H_
#define BERTH_CORE_OCI_RESOURCES_H_

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "core/oci/host_inputs.h"
#include "proto/cri/v1/api.pb.h"

namespace berth::oci {

// Zero and empty fields set nothing. Swap is limited to none when memory is limited and swap is not given: the OCI
// value counts memory and swap together. A quota of -1 is no quota, and left out on version 1. What the machine's
// cgroups lack is left out; `unified` on version 1 is kInvalidArgument.
absl::StatusOr<nlohmann::json> ResourcesJson(const runtime::v1::LinuxContainerResources& resources,
                                             const CgroupFacts& cgroup);

// `update` over `current`: fields that are zero or empty in the update stay as they are.
runtime::v1::LinuxContainerResources MergeResources(const runtime::v1::LinuxContainerResources& current,
                                                    const runtime::v1::LinuxContainerResources& update);

}  // namespace berth::oci

#endif  // BERTH_CORE_OCI_RESOURCES_H_
