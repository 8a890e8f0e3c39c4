#include "plugins/snapshot_overlay/trash.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <utility>

#include "plugins/snapshot_overlay/directory.h"

namespace berth::snapshot_overlay {
namespace {

// Deeper directories are moved to the top of the trash first, which bounds both stack and descriptors.
constexpr int kDepth = 32;
constexpr int kNamesTried = 1000;
constexpr uint64_t kEntriesBetweenQuestions = 256;

class Emptying {
 public:
  Emptying(int trash_fd, dev_t device, const std::function<bool()>& give_up)
      : trash_fd_(trash_fd), device_(device), give_up_(give_up) {}

  sdk::Status RemoveEntries(int dir_fd, int depth) {
    return ForEachEntry(dir_fd, [&](const char* name) { return RemoveEntry(dir_fd, name, depth); });
  }

 private:
  sdk::Status RemoveEntry(int dir_fd, const char* name, int depth) {
    if (++entries_ % kEntriesBetweenQuestions == 0 && give_up_()) {
      return sdk::Cancelled("remove snapshots: the caller gave up");
    }
    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT) return sdk::Status();
    if (errno != EISDIR) return sdk::ErrnoStatus(errno, std::string("remove ") + name);
    if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return sdk::Status();
    if (errno != ENOTEMPTY && errno != EEXIST) return sdk::ErrnoStatus(errno, std::string("remove directory ") + name);
    if (depth >= kDepth) return MoveToTrash(dir_fd, name, trash_fd_);
    return RemoveDirectory(dir_fd, name, depth);
  }

  sdk::Status RemoveDirectory(int dir_fd, const char* name, int depth) {
    sdk::UniqueFd fd(openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat st;
    if (!fd.valid() || fstat(fd.get(), &st) != 0) {
      return errno == ENOENT ? sdk::Status() : sdk::ErrnoStatus(errno, std::string("open directory ") + name);
    }
    if (st.st_dev != device_) {
      return sdk::FailedPrecondition(std::string("remove directory ") + name + ": a file system is mounted there");
    }
    BERTH_RETURN_IF_ERROR(RemoveEntries(fd.get(), depth + 1));
    if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return sdk::Status();
    return sdk::ErrnoStatus(errno, std::string("remove directory ") + name);
  }

  const int trash_fd_;
  const dev_t device_;
  const std::function<bool()>& give_up_;
  uint64_t entries_ = 0;
};

bool IsEmpty(int dir_fd) {
  return ForEachEntry(dir_fd, [](const char*) { return sdk::AlreadyExists(""); }).ok();
}

}  // namespace

sdk::Status MoveToTrash(int from_fd, const std::string& name, int trash_fd) {
  static std::atomic<uint64_t> next{0};
  // The process id keeps two daemons' names apart; a name left from before a reboot is skipped.
  const std::string prefix = std::to_string(getpid()) + "-";
  for (int i = 0; i < kNamesTried; ++i) {
    const std::string to = prefix + std::to_string(next++);
    if (renameat2(from_fd, name.c_str(), trash_fd, to.c_str(), RENAME_NOREPLACE) == 0) return sdk::Status();
    if (errno != EEXIST) return sdk::ErrnoStatus(errno, "move " + name + " to the trash");
  }
  return sdk::Internal("move " + name + " to the trash: no free name there");
}

sdk::Status EmptyTrash(int trash_fd, const std::function<bool()>& give_up) {
  struct stat st;
  if (fstat(trash_fd, &st) != 0) return sdk::ErrnoStatus(errno, "stat the trash");
  Emptying emptying(trash_fd, st.st_dev, give_up);
  do {
    if (give_up()) return sdk::Cancelled("remove snapshots: the caller gave up");
    // The moved parts of deep trees turn up in the next round at the latest.
    BERTH_RETURN_IF_ERROR(emptying.RemoveEntries(trash_fd, 0));
  } while (!IsEmpty(trash_fd));
  return sdk::Status();
}

}  // namespace berth::snapshot_overlay
