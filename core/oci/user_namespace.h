// The user namespace of a pod as CRI asks for it, checked: which ids of its containers are which of the node's.
#ifndef BERTH_CORE_OCI_USER_NAMESPACE_H_
#define BERTH_CORE_OCI_USER_NAMESPACE_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/oci/user.h"
#include "proto/cri/v1/api.pb.h"

namespace berth::oci {

// Ids [0, count) of the containers are [host, host + count) of the node.
struct IdRange {
  uint32_t host = 0, count = 0;
};

struct IdMaps {
  IdRange uids, gids;
};

// What the options of a pod or container ask for; nullopt is the node's own user namespace. kInvalidArgument for a mode
// other than POD and NODE, for NODE with mappings, POD without, more than one line of them, one that does not map id 0
// or leaves the range of ids.
absl::StatusOr<std::optional<IdMaps>> IdMapsOf(const runtime::v1::NamespaceOption& options);

// A container carries the same options as its pod, where `of_pod` came from. kInvalidArgument if not, or if its PID
// namespace is the node's, over which the pod's user namespace has no power.
absl::Status CheckContainerIdMaps(const runtime::v1::NamespaceOption& container, const std::optional<IdMaps>& of_pod);

// A volume's uidMappings and gidMappings: none, or the pod's own.
absl::Status CheckVolumeIdMaps(const runtime::v1::Mount& mount, const std::optional<IdMaps>& of_pod);

// That every id that the process will have is mapped.
absl::Status CheckUserIsMapped(const ResolvedUser& user, const IdMaps& maps);

}  // namespace berth::oci

#endif  // BERTH_CORE_OCI_USER_NAMESPACE_H_
