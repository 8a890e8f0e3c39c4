#include "core/cri/listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/status.h"

namespace berth {
namespace {

constexpr char kFresh[] = ".new";  // bound there, and renamed

absl::StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path[0] != '/' || path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("listen on ", path, ": the path of a socket is absolute and has at ",
                                                   "most ", sizeof(address.sun_path) - 1, " bytes"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

absl::StatusOr<UniqueFd> MakeSocket() {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return ErrnoStatus("make a unix socket");
  return fd;
}

// OK when nothing is at `path` or a socket on which nobody listens any more. The store's lock keeps a second daemon of
// the same root away before it comes here; this is for one with another root, and for another runtime.
absl::Status CheckFree(const std::string& path) {
  struct stat there;
  if (lstat(path.c_str(), &there) != 0) {
    return errno == ENOENT ? absl::OkStatus() : ErrnoStatus(absl::StrCat("look for ", path));
  }
  if (!S_ISSOCK(there.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat("listen on ", path, ": there is a file that is no socket"));
  }
  ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  ASSIGN_OR_RETURN(const UniqueFd fd, MakeSocket());
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 || errno == EAGAIN) {
    return absl::FailedPreconditionError(
        absl::StrCat("listen on ", path, ": another process listens there; stop it, or set [grpc] socket"));
  }
  if (errno == ECONNREFUSED || errno == ENOENT) return absl::OkStatus();
  return ErrnoStatus(absl::StrCat("connect to ", path));
}

}  // namespace

absl::StatusOr<UniqueFd> Listen(const std::string& path, mode_t mode) {
  const std::string fresh = path + kFresh;
  ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(fresh));
  RETURN_IF_ERROR(MakeDirs(path.substr(0, path.rfind('/')), 0711));
  RETURN_IF_ERROR(CheckFree(path));
  ASSIGN_OR_RETURN(UniqueFd fd, MakeSocket());
  if (unlink(fresh.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(absl::StrCat("remove ", fresh));
  // The mode of the socket's file is the descriptor's less the umask: nobody else gets in before the chmod.
  fchmod(fd.get(), 0600);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoStatus(absl::StrCat("bind ", fresh));
  }
  absl::Status status;
  if (chmod(fresh.c_str(), mode) != 0) status = ErrnoStatus(absl::StrCat("chmod ", fresh));
  if (status.ok() && listen(fd.get(), SOMAXCONN) != 0) status = ErrnoStatus(absl::StrCat("listen on ", fresh));
  if (status.ok() && rename(fresh.c_str(), path.c_str()) != 0) status = ErrnoStatus(absl::StrCat("rename ", fresh));
  if (status.ok()) return fd;
  unlink(fresh.c_str());
  return status;
}

absl::StatusOr<size_t> CountConnections(const std::string& path) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir("/proc/self/fd"));
  size_t count = 0;
  for (const std::string& name : names) {
    int fd = -1, listens = 0;
    sockaddr_un address = {};
    socklen_t size = sizeof(address), length = sizeof(listens);
    // What is no socket, and what was closed meanwhile, has no address.
    if (!absl::SimpleAtoi(name, &fd) || getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
        address.sun_family != AF_UNIX || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) != 0 ||
        listens != 0) {
      continue;
    }
    const std::string bound(address.sun_path, strnlen(address.sun_path, sizeof(address.sun_path)));
    if (bound == path || bound == path + kFresh) ++count;
  }
  return count;
}

absl::Status CheckListener(int fd, const std::string& path) {
  const auto bad = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("take over descriptor ", fd, " as the socket ", path, ": ", why));
  };
  sockaddr_un address = {};
  socklen_t size = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return bad("it is no socket");
  int listens = 0, type = 0;
  socklen_t length = sizeof(listens);
  getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length);
  length = sizeof(type);
  getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length);
  if (address.sun_family != AF_UNIX || type != SOCK_STREAM || listens == 0) {
    return bad("it is no unix stream socket that listens");
  }
  const std::string bound(address.sun_path, strnlen(address.sun_path, sizeof(address.sun_path)));
  if (bound != path && bound != path + kFresh) return bad(absl::StrCat("it is bound to ", bound));
  struct stat there;
  if (lstat(path.c_str(), &there) != 0 || !S_ISSOCK(there.st_mode)) {
    return absl::NotFoundError(absl::StrCat("take over the socket ", path, ": nothing is there any more"));
  }
  return absl::OkStatus();
}

}  // namespace berth
