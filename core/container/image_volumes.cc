#include "core/container/image_volumes.h"

#include <unistd.h>

#include <algorithm>
#include <climits>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/path.h"
#include "core/base/status.h"

namespace berth {
namespace {

using oci::VolumeMount;

constexpr size_t kMostVolumes = 128;

absl::StatusOr<std::string> PathOf(int fd) {
  char path[PATH_MAX];
  const ssize_t size = readlink(absl::StrCat("/proc/self/fd/", fd).c_str(), path, sizeof(path));
  if (size < 0 || size == sizeof(path)) return ErrnoStatus("readlink of a directory in the rootfs");
  return std::string(path, static_cast<size_t>(size));
}

bool IsKernels(const std::string& path) {
  for (const char* top : {"/proc", "/sys", "/dev"}) {
    if (path == top || absl::StartsWith(path, absl::StrCat(top, "/"))) return true;
  }
  return path.empty() || path == "/";
}

absl::StatusOr<VolumeMount> VolumeAt(int rootfs_fd, const std::string& root, const std::string& declared) {
  RETURN_IF_ERROR(CheckAbsolutePath(declared, "its path"));
  // failpoint: container.bundle.write
  ASSIGN_OR_RETURN(const UniqueFd directory, MakeDirsInRoot(rootfs_fd, declared));
  ASSIGN_OR_RETURN(const std::string source, PathOf(directory.get()));
  // Below the root, or RESOLVE_IN_ROOT were broken.
  if (source != root && !absl::StartsWith(source, root + "/"))
    return absl::InternalError("it is outside of the rootfs");
  VolumeMount volume;
  volume.source = source;
  volume.destination = source.substr(root.size());
  if (IsKernels(volume.destination)) return absl::InvalidArgumentError("the kernel's file systems are no volumes");
  return volume;
}

bool IsMounted(const std::vector<VolumeMount>& mounts, const std::string& place) {
  return std::any_of(mounts.begin(), mounts.end(), [&](const VolumeMount& m) { return m.destination == place; });
}

// As configured mounts are written, so that equal places compare equal.
absl::StatusOr<std::string> Normalised(const std::string& declared) {
  runtime::v1::Mount mount;
  mount.set_container_path(absl::StartsWith(declared, "/") ? declared : "/" + declared);
  ASSIGN_OR_RETURN(const VolumeMount checked, oci::CheckVolumeMount(mount, "/", false));
  return checked.destination;
}

}  // namespace

absl::StatusOr<std::vector<VolumeMount>> ImageVolumes(int rootfs_fd, const std::vector<std::string>& declared,
                                                      const std::vector<VolumeMount>& configured) {
  std::vector<VolumeMount> volumes;
  if (declared.empty()) return volumes;
  if (declared.size() > kMostVolumes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the image declares ", declared.size(), " volumes, more than ", kMostVolumes));
  }
  ASSIGN_OR_RETURN(const std::string root, PathOf(rootfs_fd));
  for (const std::string& one : declared) {
    const std::string what =
        absl::StrCat("the image declares a volume at \"", absl::CHexEscape(one.substr(0, 200)), "\"");
    auto place = Normalised(one);
    if (!place.ok()) return Annotate(place.status(), what);
    if (IsMounted(configured, *place)) continue;
    auto volume = VolumeAt(rootfs_fd, root, *place);
    if (!volume.ok()) return Annotate(volume.status(), what);
    // Through links of the image two names may be one place.
    if (IsMounted(configured, volume->destination) || IsMounted(volumes, volume->destination)) continue;
    volumes.push_back(*std::move(volume));
  }
  return volumes;
}

}  // namespace berth
