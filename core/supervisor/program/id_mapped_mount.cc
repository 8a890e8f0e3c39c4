#include "core/supervisor/program/id_mapped_mount.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace berth::supervisor {
namespace {

// <linux/mount.h> and glibc 2.36's <sys/mount.h> cannot be used together.
constexpr unsigned kOpenTreeClone = 1, kOpenTreeCloexec = O_CLOEXEC;
constexpr unsigned kMoveFromEmptyPath = 0x4, kMoveToEmptyPath = 0x40;
constexpr uint64_t kAttrIdMap = 0x00100000;

struct MountAttr {
  uint64_t set = 0, clear = 0, propagation = 0, userns_fd = 0;
};

}  // namespace

Error CopyMount(const std::string& source, bool recursive, int user_ns, UniqueFd* copy) {
  unsigned flags = kOpenTreeClone | kOpenTreeCloexec | (recursive ? AT_RECURSIVE : 0);
  copy->reset(static_cast<int>(syscall(SYS_open_tree, AT_FDCWD, source.c_str(), flags)));
  if (!*copy) return Errno(Concat({"copy the mount at ", source}));
  if (user_ns < 0) return Ok();
  MountAttr attr;
  attr.set = kAttrIdMap;
  attr.userns_fd = static_cast<uint64_t>(user_ns);
  if (syscall(SYS_mount_setattr, copy->get(), "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0) return Ok();
  if (errno == EINVAL) {
    return Fail(wire::kFailedPrecondition, Concat({"map the ids of ", source,
                                                   " into the pod's user namespace: its file system does not support "
                                                   "id-mapped mounts with this kernel"}));
  }
  return Errno(Concat({"map the ids of ", source, " into the pod's user namespace"}));
}

Error AttachMount(int copy, int target, const std::string& source) {
  if (syscall(SYS_move_mount, copy, "", target, "", kMoveFromEmptyPath | kMoveToEmptyPath) == 0) return Ok();
  return Errno(Concat({"attach the mount of ", source}));
}

}  // namespace berth::supervisor
