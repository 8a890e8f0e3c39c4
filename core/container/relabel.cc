#include "core/container/relabel.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/base/unique_fd.h"

namespace berth {
namespace {

constexpr int kMostDepth = 512;

// Never relabelled themselves; the second not with anything in them either.
constexpr const char* kSystemDirectories[] = {"/",       "/home", "/media", "/mnt", "/opt",     "/root",
                                              "/run",    "/srv",  "/tmp",   "/var", "/var/lib", "/var/lib/kubelet",
                                              "/var/log"};
constexpr const char* kSystemTrees[] = {"/bin",   "/boot",   "/dev",  "/etc",  "/lib", "/lib32",
                                        "/lib64", "/libx32", "/proc", "/sbin", "/sys", "/usr"};

std::string FdPath(int fd) { return absl::StrCat("/proc/self/fd/", fd); }

absl::StatusOr<std::string> RealPath(int fd) {
  char path[PATH_MAX];
  const ssize_t size = readlink(FdPath(fd).c_str(), path, sizeof(path));
  if (size < 0 || size == sizeof(path)) return ErrnoStatus("read its path");
  return std::string(path, static_cast<size_t>(size));
}

bool IsSame(const struct stat& st, const char* path) {
  struct stat other;
  return stat(path, &other) == 0 && other.st_dev == st.st_dev && other.st_ino == st.st_ino;
}

// By what it is as well as by its name: a bind mount gives a directory another one.
absl::Status RefuseSystem(int fd) {
  ASSIGN_OR_RETURN(const std::string path, RealPath(fd));
  struct stat st;
  if (fstat(fd, &st) != 0) return ErrnoStatus("stat");
  bool refused = false;
  for (const char* directory : kSystemDirectories) refused |= IsSame(st, directory);
  for (const char* tree : kSystemTrees) refused |= IsSame(st, tree) || absl::StartsWith(path, absl::StrCat(tree, "/"));
  if (!refused) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("it is ", path, ", which the node itself needs as it is; ask for no selinux_relabel there"));
}

class Relabelling {
 public:
  explicit Relabelling(const std::string& label) : label_(label) {}

  // `fd` is O_PATH, of a link itself.
  absl::Status Entry(int fd, const std::string& shown, int depth) const {
    struct stat st;
    if (fstat(fd, &st) != 0) return ErrnoStatus("stat " + shown);
    if (S_ISDIR(st.st_mode)) RETURN_IF_ERROR(Below(fd, shown, depth));
    return Set(fd, shown);
  }

 private:
  absl::Status Below(int fd, const std::string& shown, int depth) const {
    if (depth == kMostDepth) return absl::OutOfRangeError(shown + ": the tree is too deep");
    const auto names = ListDir(FdPath(fd));
    if (absl::IsNotFound(names.status())) return absl::OkStatus();
    if (!names.ok()) return Annotate(names.status(), shown);
    for (const std::string& name : *names) {
      open_how how = {};
      how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
      how.resolve = RESOLVE_NO_XDEV;
      const UniqueFd child(static_cast<int>(syscall(SYS_openat2, fd, name.c_str(), &how, sizeof(how))));
      const std::string path = absl::StrCat(shown, "/", name);
      if (child) {
        RETURN_IF_ERROR(Entry(child.get(), path, depth + 1));
      } else if (errno != ENOENT && errno != EXDEV) {
        return ErrnoStatus("open " + path);
      }
    }
    return absl::OkStatus();
  }

  absl::Status Set(int fd, const std::string& shown) const {
    // An O_PATH descriptor takes no attributes itself; its link in /proc leads to what it is, a symbolic link as well.
    const std::string path = FdPath(fd);
    if (Has(path)) return absl::OkStatus();
    if (setxattr(path.c_str(), kSelinuxAttribute, label_.data(), label_.size(), 0) == 0) return absl::OkStatus();
    if (errno == EOPNOTSUPP || errno == ENOENT) return absl::OkStatus();
    return ErrnoStatus(absl::StrCat("give ", shown, " the label ", label_));
  }

  bool Has(const std::string& path) const {
    char value[512];
    ssize_t size = getxattr(path.c_str(), kSelinuxAttribute, value, sizeof(value));
    if (size > 0 && value[size - 1] == '\0') --size;
    return size > 0 && absl::string_view(value, static_cast<size_t>(size)) == label_;
  }

  const std::string& label_;
};

}  // namespace

absl::Status RelabelTree(const std::string& path, const std::string& label) {
  const std::string what = absl::StrCat("relabel ", path);
  const auto root = OpenFile(path, O_PATH);
  if (!root.ok()) return Annotate(root.status(), what);
  RETURN_IF_ERROR(Annotate(RefuseSystem(root->get()), what));
  return Annotate(Relabelling(label).Entry(root->get(), path, 0), what);
}

}  // namespace berth
