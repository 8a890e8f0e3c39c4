#include "core/base/path.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/status.h"

namespace berth {
namespace {

absl::Status CheckPath(absl::string_view path, absl::string_view what) {
  if (path.empty()) return absl::InvalidArgumentError(absl::StrCat(what, " is empty"));
  if (path.size() >= PATH_MAX)
    return absl::InvalidArgumentError(absl::StrCat(what, " is longer than ", PATH_MAX - 1, " bytes"));
  if (path.find('\0') != path.npos) return absl::InvalidArgumentError(absl::StrCat(what, " contains a NUL byte"));
  for (absl::string_view part : absl::StrSplit(path, '/')) {
    if (part == "..") return absl::InvalidArgumentError(absl::StrCat(what, " contains a .. component: ", path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UniqueFd> OpenInRoot(int root_fd, absl::string_view path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.mode = mode;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const std::string name(path);
  for (;;) {
    UniqueFd fd(static_cast<int>(syscall(SYS_openat2, root_fd, name.c_str(), &how, sizeof(how))));
    if (fd) return fd;
    // EAGAIN: a rename or mount raced with the walk of a .. component; the kernel asks to try again.
    if (errno != EINTR && errno != EAGAIN) return ErrnoStatus("open in rootfs " + name);
  }
}

absl::StatusOr<UniqueFd> MakeDirsInRoot(int root_fd, absl::string_view path, mode_t mode) {
  ASSIGN_OR_RETURN(UniqueFd here, OpenInRoot(root_fd, "/", O_PATH | O_DIRECTORY));
  std::string walked = "/";
  for (absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    absl::StrAppend(&walked, walked.size() > 1 ? "/" : "", part);
    auto next = OpenInRoot(root_fd, walked, O_PATH | O_DIRECTORY);
    if (!next.ok() && absl::IsNotFound(next.status())) {
      const std::string name(part);
      if (mkdirat(here.get(), name.c_str(), mode) != 0 && errno != EEXIST)
        return ErrnoStatus("mkdir in rootfs " + walked);
      next = OpenInRoot(root_fd, walked, O_PATH | O_DIRECTORY);
    }
    if (!next.ok()) return next.status();
    here = *std::move(next);
  }
  return here;
}

absl::Status CheckAbsolutePath(absl::string_view path, absl::string_view what) {
  RETURN_IF_ERROR(CheckPath(path, what));
  if (path[0] != '/') return absl::InvalidArgumentError(absl::StrCat(what, " is not absolute: ", path));
  return absl::OkStatus();
}

absl::Status CheckRelativePath(absl::string_view path, absl::string_view what) {
  RETURN_IF_ERROR(CheckPath(path, what));
  if (path[0] == '/') return absl::InvalidArgumentError(absl::StrCat(what, " is not relative: ", path));
  return absl::OkStatus();
}

}  // namespace berth
