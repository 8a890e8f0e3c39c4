#include "core/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/status.h"

namespace berth {
namespace {

constexpr char kTemporaryMark[] = ".tmp.";  // then the writer's process id, a dot, and a count

struct DirCloser {
  void operator()(DIR* dir) const { closedir(dir); }
};
using UniqueDir = std::unique_ptr<DIR, DirCloser>;

bool IsDots(const char* name) { return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0')); }

absl::StatusOr<UniqueDir> OpenDir(UniqueFd fd, const std::string& path) {
  DIR* dir = fdopendir(fd.get());
  if (dir == nullptr) return ErrnoStatus("read directory " + path);
  (void)fd.release();
  return UniqueDir(dir);
}

absl::StatusOr<std::vector<std::string>> Names(UniqueFd fd, const std::string& path) {
  auto dir = OpenDir(std::move(fd), path);
  if (!dir.ok()) return dir.status();
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(dir->get());
    if (entry == nullptr) break;
    if (!IsDots(entry->d_name)) names.emplace_back(entry->d_name);
  }
  if (errno != 0) return ErrnoStatus("read directory " + path);
  return names;
}

// Depth is bounded by the descriptors this takes: a tree deeper than that is refused, never followed half way.
constexpr int kMaxDepth = 4096;

absl::Status RemoveAt(int dir_fd, const std::string& name, const std::string& shown, dev_t device, int depth) {
  if (unlinkat(dir_fd, name.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
  if (errno != EISDIR && errno != EPERM) return ErrnoStatus("remove " + shown);
  if (depth > kMaxDepth) return absl::OutOfRangeError("remove " + shown + ": tree is too deep");
  auto child = OpenFileAt(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!child.ok()) return child.status();
  struct stat st;
  if (fstat(child->get(), &st) != 0) return ErrnoStatus("stat " + shown);
  if (st.st_dev != device) return absl::FailedPreconditionError("remove " + shown + ": something is mounted there");
  const int raw = child->get();
  UniqueFd again(fcntl(raw, F_DUPFD_CLOEXEC, 3));
  if (!again) return ErrnoStatus("duplicate descriptor of " + shown);
  ASSIGN_OR_RETURN(std::vector<std::string> names, Names(std::move(again), shown));
  for (const std::string& entry : names) {
    RETURN_IF_ERROR(RemoveAt(raw, entry, absl::StrCat(shown, "/", entry), device, depth + 1));
  }
  if (unlinkat(dir_fd, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) return ErrnoStatus("remove " + shown);
  return absl::OkStatus();
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

absl::StatusOr<UniqueFd> OpenFileAt(int dir_fd, const std::string& path, int flags, mode_t mode) {
  UniqueFd fd(openat(dir_fd, path.c_str(), flags | O_CLOEXEC, mode));
  if (!fd) return ErrnoStatus("open " + path);
  return fd;
}

absl::StatusOr<UniqueFd> OpenFile(const std::string& path, int flags, mode_t mode) {
  return OpenFileAt(AT_FDCWD, path, flags, mode);
}

absl::StatusOr<std::string> ReadAll(int fd, uint64_t limit) {
  std::string data;
  char buffer[16384];
  for (;;) {
    const ssize_t n = read(fd, buffer, sizeof(buffer));
    if (n == 0) return data;
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus("read");
    }
    if (data.size() + n > limit) return absl::OutOfRangeError(absl::StrCat("more than ", limit, " bytes"));
    data.append(buffer, n);
  }
}

absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t limit) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDONLY));
  auto data = ReadAll(fd.get(), limit);
  if (!data.ok()) return Annotate(data.status(), "read " + path);
  return data;
}

absl::Status WriteAll(int fd, absl::string_view data) {
  while (!data.empty()) {
    const ssize_t n = write(fd, data.data(), data.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus("write");
    }
    data.remove_prefix(n);
  }
  return absl::OkStatus();
}

absl::Status SyncDir(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDONLY | O_DIRECTORY));
  if (fsync(fd.get()) != 0) return ErrnoStatus("fsync " + path);
  return absl::OkStatus();
}

absl::Status WriteFileAtomic(const std::string& path, absl::string_view data, mode_t mode, Durability durability) {
  static std::atomic<uint64_t> counter{0};
  const std::string temporary = absl::StrCat(path, kTemporaryMark, getpid(), ".", counter.fetch_add(1));
  const auto write = [&]() -> absl::Status {
    unlink(temporary.c_str());  // of a process that had our number before us and died, perhaps before a reboot
    ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(temporary, O_WRONLY | O_CREAT | O_EXCL, mode));
    RETURN_IF_ERROR(Annotate(WriteAll(fd.get(), data), "write " + temporary));
    if (fchmod(fd.get(), mode) != 0) return ErrnoStatus("chmod " + temporary);
    if (durability == Durability::kDurable && fsync(fd.get()) != 0) return ErrnoStatus("fsync " + temporary);
    if (rename(temporary.c_str(), path.c_str()) != 0) return ErrnoStatus("rename to " + path);
    return absl::OkStatus();
  };
  if (absl::Status status = write(); !status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  return durability == Durability::kDurable ? SyncDir(ParentOf(path)) : absl::OkStatus();
}

void RemoveAbandonedTemporaries(const std::string& directory) {
  const auto names = ListDir(directory);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const size_t mark = name.rfind(kTemporaryMark);
    if (mark == std::string::npos) continue;
    const std::vector<std::string> numbers = absl::StrSplit(name.substr(mark + sizeof(kTemporaryMark) - 1), '.');
    pid_t pid = 0;
    uint64_t count = 0;
    if (numbers.size() != 2 || !absl::SimpleAtoi(numbers[0], &pid) || !absl::SimpleAtoi(numbers[1], &count)) continue;
    if (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH) unlink(absl::StrCat(directory, "/", name).c_str());
  }
}

absl::Status MakeDirs(const std::string& path, mode_t mode, Durability durability) {
  int result = mkdir(path.c_str(), mode);
  if (result != 0 && errno == ENOENT && !path.empty()) {
    const std::string parent = ParentOf(path);
    if (parent == path) return ErrnoStatus("mkdir " + path);
    RETURN_IF_ERROR(MakeDirs(parent, mode, durability));
    result = mkdir(path.c_str(), mode);
  }
  if (result == 0) return durability == Durability::kDurable ? SyncDir(ParentOf(path)) : absl::OkStatus();
  if (errno != EEXIST) return ErrnoStatus("mkdir " + path);
  struct stat st;
  if (stat(path.c_str(), &st) != 0) return ErrnoStatus("stat " + path);
  if (!S_ISDIR(st.st_mode)) return ErrnoStatus(ENOTDIR, "mkdir " + path);
  return absl::OkStatus();
}

absl::Status RemoveTree(const std::string& path) {
  struct stat st;
  if (lstat(path.c_str(), &st) != 0) return errno == ENOENT ? absl::OkStatus() : ErrnoStatus("stat " + path);
  return RemoveAt(AT_FDCWD, path, path, st.st_dev, 0);
}

absl::StatusOr<std::vector<std::string>> ListDir(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDONLY | O_DIRECTORY));
  ASSIGN_OR_RETURN(std::vector<std::string> names, Names(std::move(fd), path));
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace berth
