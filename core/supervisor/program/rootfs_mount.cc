#include "core/supervisor/program/rootfs_mount.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/supervisor/program/mount_options.h"

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

// What a target names inside the rootfs as mounted so far: links and .. can't lead out.
Error OpenTarget(const wire::PrepareContainer& prepare, const std::string& target, UniqueFd* out) {
  out->reset(open(prepare.rootfs.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!*out) return Errno(Concat({"open the rootfs directory ", prepare.rootfs}));
  if (target.empty()) return Ok();
  open_how how = {};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  UniqueFd found(static_cast<int>(syscall(SYS_openat2, out->get(), target.c_str(), &how, sizeof(how))));
  if (!found) return Errno(Concat({"open mount target ", target, " in ", prepare.rootfs}));
  *out = std::move(found);
  return Ok();
}

// A bind takes its flags only in a second step, and must keep those that a user namespace may not clear.
Error RemountBind(const wire::PrepareContainer& prepare, const wire::Mount& m, const MountOptions& options) {
  if (!options.explicit_flags) return Ok();
  UniqueFd target;  // opened anew: the old descriptor is below the mount
  BERTH_TRY(OpenTarget(prepare, m.target, &target));
  unsigned long flags = (options.flags & ~static_cast<unsigned long>(MS_REC)) | MS_REMOUNT | MS_BIND;
  if (mount(nullptr, FdPath(target).c_str(), nullptr, flags, nullptr) != 0) {
    return Errno(Concat({"remount the bind of ", m.source, " with its options"}));
  }
  return Ok();
}

Error Finish(const wire::PrepareContainer& prepare, const wire::Mount& m, const MountOptions& options) {
  if (!options.recursive_read_only && options.propagation == 0) return Ok();
  UniqueFd target;
  BERTH_TRY(OpenTarget(prepare, m.target, &target));
  if (options.recursive_read_only) {
    uint64_t attr[4] = {MOUNT_ATTR_RDONLY, 0, 0, 0};  // struct mount_attr
    if (syscall(SYS_mount_setattr, target.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, attr, sizeof(attr)) != 0) {
      return Errno(Concat({"make ", m.source, " read-only with all its submounts (kernel 5.12)"}));
    }
  }
  if (options.propagation != 0 && mount(nullptr, FdPath(target).c_str(), nullptr, options.propagation, nullptr) != 0) {
    return Errno(Concat({"set the propagation of ", m.source}));
  }
  return Ok();
}

Error MountOne(const wire::PrepareContainer& prepare, const wire::Mount& m) {
  MountOptions options;
  BERTH_TRY(ParseMountOptions(m.options, &options));
  if (!options.cwd.empty() && chdir(options.cwd.c_str()) != 0) return Errno(Concat({"chdir to ", options.cwd}));
  UniqueFd target;
  BERTH_TRY(OpenTarget(prepare, m.target, &target));
  bool bind = (options.flags & MS_BIND) != 0;
  unsigned long flags = bind ? options.flags & (MS_BIND | MS_REC) : options.flags;
  if (mount(m.source.c_str(), FdPath(target).c_str(), m.type.c_str(), flags,
            options.data.empty() ? nullptr : options.data.c_str()) != 0) {
    return Errno(
        Concat({"mount ", m.type, " ", m.source, " on ", prepare.rootfs, "/", m.target, " (", options.data, ")"}));
  }
  (void)!chdir("/");
  if (bind) BERTH_TRY(RemountBind(prepare, m, options));
  return Finish(prepare, m, options);
}

}  // namespace

Error MountRootfs(int mount_ns, const wire::PrepareContainer& prepare, UniqueFd* rootfs) {
  if (setns(mount_ns, CLONE_NEWNS) != 0) return Errno("join the daemon's mount namespace");
  if (unshare(CLONE_NEWNS) != 0) return Errno("clone the daemon's mount namespace");
  BERTH_TRY(CutPropagation(prepare));
  for (const wire::Mount& m : prepare.mounts) BERTH_TRY(MountOne(prepare, m));
  rootfs->reset(open(prepare.rootfs.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!*rootfs) return Errno(Concat({"open the rootfs ", prepare.rootfs}));
  return Ok();
}

}  // namespace berth::supervisor
