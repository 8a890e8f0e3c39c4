#include "plugins/snapshot_overlay/probe.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "berth/sdk/unique_fd.h"

namespace berth::snapshot_overlay {
namespace {

sdk::Status Missing(int err, const std::string& what, const std::string& remedy) {
  const sdk::Status status = sdk::ErrnoStatus(err, what);
  return sdk::Status(sdk::Code::kFailedPrecondition, status.message() + " (" + remedy + ")", err);
}

sdk::Result<sdk::UniqueFd> OpenOverlay() {
  sdk::UniqueFd context(static_cast<int>(syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC)));
  if (context.valid()) return context;
  switch (errno) {
    case ENODEV:
      return Missing(ENODEV, "fsopen overlay",
                     "this kernel has no overlayfs: load its module, or use another snapshotter");
    case EPERM:
      return Missing(EPERM, "fsopen overlay", "mounting needs CAP_SYS_ADMIN");
    case ENOSYS:
      return Missing(ENOSYS, "fsopen overlay", "Linux 5.10 or newer is needed");
    default:
      return sdk::ErrnoStatus("fsopen overlay");
  }
}

// The kernel explains itself through reads from the context, one line each: "e overlay: ...".
std::string KernelSays(int context) {
  std::string out;
  char line[512];
  ssize_t n = 0;
  for (int i = 0; i < 8 && (n = read(context, line, sizeof(line))) > 0; ++i) {
    std::string text(line, static_cast<size_t>(n));
    while (!text.empty() && text.back() == '\n') text.pop_back();
    out += "; " + text;
  }
  return out;
}

sdk::Status MakeDirectories(const std::string& directory) {
  for (const char* name : {"/lower", "/upper", "/work"}) {
    if (mkdir((directory + name).c_str(), 0755) != 0) return sdk::ErrnoStatus("mkdir " + directory + name);
  }
  const std::string file = directory + "/lower/file";
  const sdk::UniqueFd fd(open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  return fd.valid() ? sdk::Status() : sdk::ErrnoStatus("create " + file);
}

int SetString(int context, const char* key, const std::string& value) {
  return static_cast<int>(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, value.c_str(), 0));
}

sdk::Result<sdk::UniqueFd> MountDetached(int context, const std::string& directory) {
  const bool made = SetString(context, "source", "overlay") == 0 &&
                    SetString(context, "lowerdir", directory + "/lower") == 0 &&
                    SetString(context, "upperdir", directory + "/upper") == 0 &&
                    SetString(context, "workdir", directory + "/work") == 0 &&
                    syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0;
  if (made) {
    sdk::UniqueFd mount(static_cast<int>(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0)));
    if (mount.valid()) return mount;
  }
  const int err = errno;
  return Missing(err, "overlay mount in " + directory,
                 "the file system there has to support upper layers; an overlay itself does not" + KernelSays(context));
}

}  // namespace

bool KernelMapsLayers() {
  utsname name{};
  int major = 0, minor = 0;
  if (uname(&name) != 0 || sscanf(name.release, "%d.%d", &major, &minor) != 2) return false;
  return major > 5 || (major == 5 && minor >= 19);
}

sdk::Status ProbeOverlay(const std::string& directory) {
  BERTH_ASSIGN_OR_RETURN(const sdk::UniqueFd context, OpenOverlay());
  BERTH_RETURN_IF_ERROR(MakeDirectories(directory));
  BERTH_ASSIGN_OR_RETURN(const sdk::UniqueFd mount, MountDetached(context.get(), directory));
  if (unlinkat(mount.get(), "file", 0) != 0) {
    return Missing(
        errno, "delete a file in an overlay on " + directory,
        "the file system there has to support whiteouts: extended attributes, device nodes, renames of both");
  }
  struct stat st;
  const std::string whiteout = directory + "/upper/file";
  if (lstat(whiteout.c_str(), &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0)) return {};
  return sdk::FailedPrecondition("overlay on " + directory + ": a deleted file left no whiteout");
}

}  // namespace berth::snapshot_overlay
