// What UpdateContainerResources makes of a container's runtime spec. Pure functions.
#ifndef BERTH_CORE_OCI_RESOURCE_UPDATE_H_
#define BERTH_CORE_OCI_RESOURCE_UPDATE_H_

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/oci/host_inputs.h"
#include "proto/cri/v1/api.pb.h"

namespace berth::oci {

// kInvalidArgument for what ResourcesJson does not look at. What only the kernel can judge (a CPU that does not exist,
// a quota beyond the parent's) passes both.
absl::Status CheckResourceUpdate(const runtime::v1::LinuxContainerResources& update);

// True when every field is zero or empty: such an update changes nothing.
bool ChangesNothing(const runtime::v1::LinuxContainerResources& update);

// The linux.resources with which an executor undoes its update from `before` to `after`: those of `before`, and what
// only `after` limits is made unlimited where the runtime spec has a value that says so.
absl::StatusOr<nlohmann::json> UndoResourcesJson(const runtime::v1::LinuxContainerResources& before,
                                                 const runtime::v1::LinuxContainerResources& after,
                                                 const CgroupFacts& cgroup);

// The text of config.json with these linux.resources; its device rules stay. `oom_score_adj` replaces
// process.oomScoreAdj; nullopt leaves it. kDataLoss for a text that is no spec.
absl::StatusOr<std::string> SpecWithResources(absl::string_view container_spec, nlohmann::json resources,
                                              std::optional<int> oom_score_adj);

}  // namespace berth::oci

#endif  // BERTH_CORE_OCI_RESOURCE_UPDATE_H_
