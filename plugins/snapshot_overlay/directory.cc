#include "plugins/snapshot_overlay/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

namespace berth::snapshot_overlay {
namespace {

struct CloseDir {
  void operator()(DIR* dir) const { closedir(dir); }
};

}  // namespace

sdk::Status ForEachEntry(int dir_fd, const std::function<sdk::Status(const char* name)>& visit) {
  // An open of its own, so that the position is its own too; fdopendir takes it over.
  sdk::UniqueFd own(openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!own.valid()) return sdk::ErrnoStatus(errno, "open a directory");
  std::unique_ptr<DIR, CloseDir> dir(fdopendir(own.get()));
  if (dir == nullptr) return sdk::ErrnoStatus(errno, "open a directory");
  static_cast<void>(own.release());
  for (;;) {
    errno = 0;
    const struct dirent* entry = readdir(dir.get());
    if (entry == nullptr) {
      return errno == 0 || errno == ENOENT ? sdk::Status() : sdk::ErrnoStatus(errno, "read a directory");
    }
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (sdk::Status status = visit(entry->d_name); !status.ok()) return status;
  }
}

sdk::Status SyncDirectory(int dir_fd, const char* what) {
  if (fsync(dir_fd) == 0) return sdk::Status();
  return sdk::ErrnoStatus(errno, std::string("sync ") + what);
}

}  // namespace berth::snapshot_overlay
