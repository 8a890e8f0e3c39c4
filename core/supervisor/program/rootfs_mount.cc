#include "core/supervisor/program/rootfs_mount.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/supervisor/program/id_mapped_mount.h"
#include "core/supervisor/program/mount_options.h"
#include "core/supervisor/program/user_namespace.h"

// Not in glibc 2.36's headers together with <sys/mount.h>.
#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 0x00000001
#endif

namespace berth::supervisor {
namespace {

std::string FdPath(const UniqueFd& fd) { return "/proc/self/fd/" + Decimal(fd.get()); }

// Field `n` (from 0) of a mountinfo line.
std::string_view Field(std::string_view line, int n) {
  for (; n > 0; --n) {
    size_t space = line.find(' ');
    if (space == std::string_view::npos) return {};
    line.remove_prefix(space + 1);
  }
  return line.substr(0, line.find(' '));
}

// Mount points in mountinfo have spaces and the like as \040.
std::string Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      plain.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0')));
      i += 3;
    } else {
      plain.push_back(text[i]);
    }
  }
  return plain;
}

// The mount point of the mount that `path` is on.
Error MountPointOf(const std::string& path, std::string* point) {
  struct statx st;
  if (statx(AT_FDCWD, path.c_str(), AT_NO_AUTOMOUNT, STATX_MNT_ID, &st) != 0) return Errno(Concat({"statx ", path}));
  std::string table;
  BERTH_TRY(ReadFile("/proc/self/mountinfo", 64 << 20, &table));
  std::string id = Decimal(static_cast<int64_t>(st.stx_mnt_id));
  for (std::string_view rest = table; !rest.empty();) {
    size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (Field(line, 0) != id) continue;
    *point = Unescape(Field(line, 4));
    return Ok();
  }
  return Fail(wire::kInternal, Concat({"the mount that holds ", path, " is not in /proc/self/mountinfo"}));
}

Error CutPropagation(const wire::PrepareContainer& prepare) {
  if (!prepare.bidirectional) {
    // Late mounts of the host still come in, ours never get out.
    if (mount(nullptr, "/", nullptr, MS_SLAVE | MS_REC, nullptr) != 0) return Errno("make the cloned mounts slaves");
    return Ok();
  }
  std::string point;
  BERTH_TRY(MountPointOf(prepare.rootfs, &point));
  if (mount(nullptr, point.c_str(), nullptr, MS_PRIVATE, nullptr) != 0) {
    return Errno(Concat({"make the mount at ", point, " private"}));
  }
  return Ok();
}

// Makes files for these ids without giving up a capability (capabilities(7), SECBIT_NO_SETUID_FIXUP).
Error ActAs(uint32_t uid, uint32_t gid) {
  if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) != 0) return Errno("keep capabilities for an id-mapped mount");
  setfsgid(gid);
  setfsuid(uid);
  // They answer the id before and never fail aloud; -1 only asks.
  bool done = static_cast<uint32_t>(setfsuid(static_cast<uid_t>(-1))) == uid;
  return done ? Ok() : Fail(wire::kPermissionDenied, "take the ids of the pod's root for an id-mapped mount");
}

void StopActing() {
  setfsuid(0);
  setfsgid(0);
  prctl(PR_SET_SECUREBITS, 0);
}

// One container's mounting: what is asked for and by whose ids.
class Mounting {
 public:
  Mounting(const wire::PrepareContainer& prepare, const wire::LaunchSpec& pod, int user_ns)
      : prepare_(prepare), pod_(pod), user_ns_(user_ns) {}

  Error Do(const wire::Mount& m) {
    options_ = {};
    BERTH_TRY(ParseMountOptions(m.options, &options_));
    if (user_ns_ < 0 && (options_.id_mapped || !options_.id_map_root.empty())) {
      return Fail(wire::kInvalidArgument, "an id-mapped mount in a pod without a user namespace");
    }
    bool bind = (options_.flags & MS_BIND) != 0;
    BERTH_TRY(options_.id_mapped ? BindIdMapped(m) : Mount(m, bind));
    if (bind) BERTH_TRY(RemountBind(m));
    return Finish(m);
  }

 private:
  std::string Bundle() const { return prepare_.rootfs.substr(0, prepare_.rootfs.rfind('/')); }

  // What a target names in the rootfs as mounted so far, or beside it: links and .. can't lead out.
  Error OpenTarget(const wire::Mount& m, UniqueFd* out) const {
    std::string root = options_.beside ? Bundle() : prepare_.rootfs;
    out->reset(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!*out) return Errno(Concat({"open the directory ", root}));
    if (m.target.empty()) return Ok();
    open_how how = {};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    UniqueFd found(static_cast<int>(syscall(SYS_openat2, out->get(), m.target.c_str(), &how, sizeof(how))));
    if (!found) return Errno(Concat({"open mount target ", m.target, " in ", root}));
    *out = std::move(found);
    return Ok();
  }

  Error Mount(const wire::Mount& m, bool bind) {
    UniqueFd target;
    BERTH_TRY(OpenTarget(m, &target));
    std::string mapped;  // where an id-mapped copy of what the file system is made of stands meanwhile
    BERTH_TRY(ChangeDirectory(&mapped));
    unsigned long flags = bind ? options_.flags & (MS_BIND | MS_REC) : options_.flags;
    Error error;
    // overlayfs makes its work files as who mounts it, and below an id-mapped mount the node's root can make none.
    if (!mapped.empty()) error = ActAs(HostRoot(pod_.uid_map), HostRoot(pod_.gid_map));
    if (error.ok() && mount(m.source.c_str(), FdPath(target).c_str(), m.type.c_str(), flags,
                            options_.data.empty() ? nullptr : options_.data.c_str()) != 0) {
      error = Errno(
          Concat({"mount ", m.type, " ", m.source, " on ", prepare_.rootfs, "/", m.target, " (", options_.data, ")"}));
    }
    if (!mapped.empty()) StopActing();
    (void)!chdir("/");
    // The file system has taken private copies of its layers' mounts.
    if (!mapped.empty()) umount2(mapped.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
    return error;
  }

  // To x-berth.cwd, through an id-mapped copy of the tree it is in if one is asked for. That has to be attached
  // somewhere: overlayfs takes no layers from detached mounts before Linux 6.15.
  Error ChangeDirectory(std::string* mapped) {
    std::string cwd = options_.cwd;
    if (!options_.id_map_root.empty()) {
      std::string place = Bundle() + "/idmapped";
      if (mkdir(place.c_str(), 0700) != 0 && errno != EEXIST) return Errno(Concat({"mkdir ", place}));
      UniqueFd copy, at(open(place.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
      if (!at) return Errno(Concat({"open ", place}));
      BERTH_TRY(CopyMount(options_.id_map_root, false, user_ns_, &copy));
      BERTH_TRY(AttachMount(copy.get(), at.get(), options_.id_map_root));
      *mapped = place;
      cwd = place + cwd.substr(options_.id_map_root.size());
    }
    if (!cwd.empty() && chdir(cwd.c_str()) != 0) return Errno(Concat({"chdir to ", cwd}));
    return Ok();
  }

  Error BindIdMapped(const wire::Mount& m) {
    UniqueFd copy, target;
    BERTH_TRY(OpenTarget(m, &target));
    BERTH_TRY(CopyMount(m.source, (options_.flags & MS_REC) != 0, user_ns_, &copy));
    return AttachMount(copy.get(), target.get(), m.source);
  }

  // A bind takes its flags only in a second step, and must keep those that a user namespace may not clear.
  Error RemountBind(const wire::Mount& m) {
    if (!options_.explicit_flags) return Ok();
    UniqueFd target;  // opened anew: the old descriptor is below the mount
    BERTH_TRY(OpenTarget(m, &target));
    unsigned long flags = (options_.flags & ~static_cast<unsigned long>(MS_REC)) | MS_REMOUNT | MS_BIND;
    if (mount(nullptr, FdPath(target).c_str(), nullptr, flags, nullptr) != 0) {
      return Errno(Concat({"remount the bind of ", m.source, " with its options"}));
    }
    return Ok();
  }

  Error Finish(const wire::Mount& m) {
    if (!options_.recursive_read_only && options_.propagation == 0) return Ok();
    UniqueFd target;
    BERTH_TRY(OpenTarget(m, &target));
    if (options_.recursive_read_only) {
      uint64_t attr[4] = {MOUNT_ATTR_RDONLY, 0, 0, 0};  // struct mount_attr
      if (syscall(SYS_mount_setattr, target.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, attr, sizeof(attr)) != 0) {
        return Errno(Concat({"make ", m.source, " read-only with all its submounts (kernel 5.12)"}));
      }
    }
    if (options_.propagation != 0 &&
        mount(nullptr, FdPath(target).c_str(), nullptr, options_.propagation, nullptr) != 0) {
      return Errno(Concat({"set the propagation of ", m.source}));
    }
    return Ok();
  }

  const wire::PrepareContainer& prepare_;
  const wire::LaunchSpec& pod_;
  const int user_ns_;
  MountOptions options_;
};

}  // namespace

Error MountRootfs(int mount_ns, const wire::PrepareContainer& prepare, const wire::LaunchSpec& pod, UniqueFd* rootfs) {
  UniqueFd user_ns;
  if (!pod.user_ns_path.empty()) {
    user_ns.reset(open(pod.user_ns_path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!user_ns) return Errno(Concat({"open the pod's user namespace ", pod.user_ns_path}));
  }
  if (setns(mount_ns, CLONE_NEWNS) != 0) return Errno("join the daemon's mount namespace");
  if (unshare(CLONE_NEWNS) != 0) return Errno("clone the daemon's mount namespace");
  BERTH_TRY(CutPropagation(prepare));
  Mounting mounting(prepare, pod, user_ns.get());
  for (const wire::Mount& m : prepare.mounts) BERTH_TRY(mounting.Do(m));
  rootfs->reset(open(prepare.rootfs.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!*rootfs) return Errno(Concat({"open the rootfs ", prepare.rootfs}));
  return Ok();
}

}  // namespace berth::supervisor
