#include "core/oci/mount_propagation.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/file.h"
#include "core/base/status.h"

namespace berth::oci {
namespace {

using runtime::v1::MountPropagation;

constexpr uint64_t kMostMountInfo = 64 << 20;
constexpr size_t kMountPoint = 4, kFirstTag = 6;  // fields of a line

absl::StatusOr<uint64_t> MountIdOf(const std::string& path) {
  struct statx st;
  if (statx(AT_FDCWD, path.c_str(), AT_NO_AUTOMOUNT, STATX_MNT_ID, &st) != 0) return ErrnoStatus("statx " + path);
  return uint64_t{st.stx_mnt_id};
}

}  // namespace

absl::StatusOr<MountPoint> FindMount(absl::string_view mountinfo, uint64_t mount_id) {
  const std::string id = absl::StrCat(mount_id);
  for (absl::string_view line : absl::StrSplit(mountinfo, '\n')) {
    if (line.substr(0, line.find(' ')) != id) continue;
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
    if (fields.size() <= kFirstTag) break;
    MountPoint mount;
    mount.path = std::string(fields[kMountPoint]);
    for (size_t i = kFirstTag; i < fields.size() && fields[i] != "-"; ++i) {
      mount.shared |= absl::StartsWith(fields[i], "shared:");
      mount.slave |= absl::StartsWith(fields[i], "master:");
    }
    return mount;
  }
  return absl::NotFoundError(absl::StrCat("mount ", id, " is not in /proc/self/mountinfo"));
}

absl::Status CheckPropagation(const std::string& source, MountPropagation wanted, const std::string& bundle) {
  if (wanted == MountPropagation::PROPAGATION_PRIVATE) return absl::OkStatus();
  ASSIGN_OR_RETURN(const uint64_t id, MountIdOf(source));
  ASSIGN_OR_RETURN(const std::string table, ReadFile("/proc/self/mountinfo", kMostMountInfo));
  ASSIGN_OR_RETURN(const MountPoint mount, FindMount(table, id));
  const bool bidirectional = wanted == MountPropagation::PROPAGATION_BIDIRECTIONAL;
  ASSIGN_OR_RETURN(const uint64_t of_bundle, MountIdOf(bundle));
  if (bidirectional && id == of_bundle) {
    return absl::FailedPreconditionError(
        absl::StrCat(source, " is on the mount ", mount.path, " like Berth's own ", bundle,
                     ": no propagation to the node is possible; set `state` to a directory on another mount"));
  }
  if (mount.shared || (mount.slave && !bidirectional)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      source, " is on the mount ", mount.path, ", which is not ", bidirectional ? "shared" : "shared or a slave",
      ": no propagation but the private one is possible; run mount --make-rshared ", mount.path, " on the node"));
}

}  // namespace berth::oci
