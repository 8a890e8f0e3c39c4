#include "core/oci/volume_mount.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "core/base/path.h"
#include "core/base/status.h"

namespace berth::oci {
namespace {

// What the kernel can change on a bind mount; anything else (propagation, bind itself, uid=...) is the runtime's.
constexpr absl::string_view kAllowedOptions[] = {"noexec",   "exec",       "nodev",       "dev",
                                                 "nosuid",   "suid",       "noatime",     "nodiratime",
                                                 "relatime", "norelatime", "strictatime", "nosymfollow"};

bool IsAllowed(const std::string& option) {
  for (absl::string_view allowed : kAllowedOptions) {
    if (option == allowed) return true;
  }
  return false;
}

// Without doubled and closing slashes and dots, so that equal places compare equal.
std::string Normalise(const std::string& path) {
  std::string result;
  size_t at = 0;
  while (at < path.size()) {
    const size_t next = std::min(path.find('/', at), path.size());
    const std::string part = path.substr(at, next - at);
    if (!part.empty() && part != ".") absl::StrAppend(&result, "/", part);
    at = next + 1;
  }
  return result.empty() ? "/" : result;
}

absl::Status CheckRecursive(const runtime::v1::Mount& mount) {
  if (!mount.recursive_read_only()) return absl::OkStatus();
  if (!mount.readonly()) return absl::InvalidArgumentError("recursive_read_only needs readonly");
  if (mount.propagation() == runtime::v1::PROPAGATION_PRIVATE) return absl::OkStatus();
  return absl::InvalidArgumentError("recursive_read_only needs private propagation");
}

absl::Status CheckPlace(const runtime::v1::Mount& mount) {
  RETURN_IF_ERROR(CheckAbsolutePath(mount.container_path(), "container_path"));
  if (Normalise(mount.container_path()) == "/") return absl::InvalidArgumentError("container_path is the root");
  if (!runtime::v1::MountPropagation_IsValid(mount.propagation())) {
    return absl::InvalidArgumentError(absl::StrCat("unknown propagation ", mount.propagation()));
  }
  for (const std::string& option : mount.mount_options()) {
    if (!IsAllowed(option)) {
      return absl::InvalidArgumentError(
          absl::StrCat("mount_options has \"", absl::CHexEscape(option.substr(0, 64)), "\", which is not allowed"));
    }
  }
  return absl::OkStatus();
}

std::string What(const runtime::v1::Mount& mount) {
  return absl::StrCat("mount at ", absl::CHexEscape(mount.container_path().substr(0, 200)));
}

// The kubelet looks for the word at the very beginning.
std::string WhatRecursive(const runtime::v1::Mount& mount) { return "RROUnsupported: " + What(mount); }

}  // namespace

absl::Status CheckMountFields(const runtime::v1::Mount& mount) {
  RETURN_IF_ERROR(Annotate(CheckRecursive(mount), WhatRecursive(mount)));
  return Annotate(CheckPlace(mount), What(mount));
}

absl::StatusOr<VolumeMount> CheckVolumeMount(const runtime::v1::Mount& mount, const std::string& source,
                                             bool can_recursive_read_only) {
  RETURN_IF_ERROR(CheckMountFields(mount));
  if (mount.recursive_read_only() && !can_recursive_read_only) {
    return absl::FailedPreconditionError(
        absl::StrCat(WhatRecursive(mount),
                     ": the OCI runtime of this handler or the kernel cannot make recursive read-only mounts"));
  }
  RETURN_IF_ERROR(Annotate(CheckAbsolutePath(source, "source"), What(mount)));
  VolumeMount volume;
  volume.source = source;
  volume.destination = Normalise(mount.container_path());
  volume.read_only = mount.readonly();
  volume.recursive_read_only = mount.recursive_read_only();
  volume.id_mapped = mount.uidmappings_size() > 0 || mount.gidmappings_size() > 0;
  volume.propagation = mount.propagation();
  volume.options = {mount.mount_options().begin(), mount.mount_options().end()};
  return volume;
}

}  // namespace berth::oci
