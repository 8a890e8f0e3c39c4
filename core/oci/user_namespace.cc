#include "core/oci/user_namespace.h"

#include <algorithm>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace berth::oci {
namespace {

using runtime::v1::NamespaceMode;
using IdMappings = google::protobuf::RepeatedPtrField<runtime::v1::IDMapping>;

constexpr uint64_t kMostIds = 0xFFFFFFFF;  // 2^32-1 itself is no id

absl::StatusOr<IdRange> RangeOf(const IdMappings& mappings, absl::string_view field) {
  if (mappings.size() != 1) {
    return absl::InvalidArgumentError(absl::StrCat(field, " has ", mappings.size(), " lines, one is supported"));
  }
  const runtime::v1::IDMapping& line = mappings[0];
  if (line.container_id() != 0 || line.length() == 0) {
    return absl::InvalidArgumentError(absl::StrCat(field, " maps ", line.length(), " ids from ", line.container_id(),
                                                   " on: id 0 of the containers must be mapped"));
  }
  if (uint64_t{line.host_id()} + line.length() > kMostIds) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, " maps ", line.length(), " ids to ", line.host_id(), ", beyond the range of ids"));
  }
  return IdRange{line.host_id(), line.length()};
}

bool Same(const IdRange& a, const IdRange& b) { return a.host == b.host && a.count == b.count; }

bool Same(const std::optional<IdMaps>& a, const std::optional<IdMaps>& b) {
  if (!a || !b) return !a && !b;
  return Same(a->uids, b->uids) && Same(a->gids, b->gids);
}

}  // namespace

absl::StatusOr<std::optional<IdMaps>> IdMapsOf(const runtime::v1::NamespaceOption& options) {
  if (!options.has_userns_options()) return std::optional<IdMaps>();
  const runtime::v1::UserNamespace& wanted = options.userns_options();
  if (wanted.mode() == NamespaceMode::NODE) {
    if (wanted.uids().empty() && wanted.gids().empty()) return std::optional<IdMaps>();
    return absl::InvalidArgumentError("userns_options: mappings are given with the mode NODE");
  }
  if (wanted.mode() != NamespaceMode::POD) {
    return absl::InvalidArgumentError("userns_options.mode is POD or NODE");
  }
  IdMaps maps;
  ASSIGN_OR_RETURN(maps.uids, RangeOf(wanted.uids(), "userns_options.uids"));
  ASSIGN_OR_RETURN(maps.gids, RangeOf(wanted.gids(), "userns_options.gids"));
  return std::optional<IdMaps>(maps);
}

absl::Status CheckContainerIdMaps(const runtime::v1::NamespaceOption& container, const std::optional<IdMaps>& of_pod) {
  ASSIGN_OR_RETURN(const std::optional<IdMaps> own, IdMapsOf(container));
  if (!Same(own, of_pod)) {
    return absl::InvalidArgumentError(
        "userns_options of the container are not those of its pod sandbox: they share one user namespace");
  }
  if (of_pod && container.pid() == NamespaceMode::NODE) {
    return absl::InvalidArgumentError("a container in a user namespace cannot have the node's PID namespace");
  }
  return absl::OkStatus();
}

absl::Status CheckVolumeIdMaps(const runtime::v1::Mount& mount, const std::optional<IdMaps>& of_pod) {
  if (mount.uidmappings().empty() && mount.gidmappings().empty()) return absl::OkStatus();
  const std::string what =
      absl::StrCat("mount at ", absl::CHexEscape(mount.container_path().substr(0, 200)), ": id mappings");
  if (!of_pod) return absl::InvalidArgumentError(absl::StrCat(what, " without a user namespace of the pod"));
  ASSIGN_OR_RETURN(const IdRange uids, RangeOf(mount.uidmappings(), absl::StrCat(what, ": uidMappings")));
  ASSIGN_OR_RETURN(const IdRange gids, RangeOf(mount.gidmappings(), absl::StrCat(what, ": gidMappings")));
  if (Same(uids, of_pod->uids) && Same(gids, of_pod->gids)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(what, " are not those of the pod's user namespace"));
}

absl::Status CheckUserIsMapped(const ResolvedUser& user, const IdMaps& maps) {
  const auto check = [](uint32_t id, const IdRange& range, const char* what) -> absl::Status {
    if (id < range.count) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat(what, " ", id, " of the container is not mapped: its user namespace has ", range.count, " ids"));
  };
  RETURN_IF_ERROR(check(user.uid, maps.uids, "uid"));
  RETURN_IF_ERROR(check(user.gid, maps.gids, "gid"));
  for (const uint32_t gid : user.additional_gids) RETURN_IF_ERROR(check(gid, maps.gids, "gid"));
  return absl::OkStatus();
}

}  // namespace berth::oci
