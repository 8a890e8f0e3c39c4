#include "core/image/rootfs_writer.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/base/file.h"
#include "core/base/path.h"
#include "core/base/status.h"

// failpoint of this file: image.layer.unpacked
namespace berth {
namespace {

constexpr size_t kCachedDirs = 64;

std::pair<std::string, std::string> SplitPath(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

uint64_t DepthOf(const std::string& path) {
  return path.empty() ? 0 : 1 + static_cast<uint64_t>(std::count(path.begin(), path.end(), '/'));
}

// Opens a directory whose path has no links in it; ELOOP when it has.
UniqueFd OpenPlain(int root, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags) | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const char* name = path.empty() ? "." : path.c_str();
  for (;;) {
    UniqueFd fd(static_cast<int>(syscall(SYS_openat2, root, name, &how, sizeof(how))));
    if (fd || (errno != EINTR && errno != EAGAIN)) return fd;
  }
}

bool IsWhiteout(const struct stat& st) { return S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0); }

bool StatAt(int dir, const std::string& name, struct stat* st) {
  return fstatat(dir, name.c_str(), st, AT_SYMLINK_NOFOLLOW) == 0;
}

std::string ProcPath(int dir, const std::string& name) { return absl::StrCat("/proc/self/fd/", dir, "/", name); }

absl::Status MakeOpaque(int dir, const std::string& path) {
  // A descriptor of its own: those at hand are O_PATH, which setxattr(2) does not take.
  UniqueFd fd(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return ErrnoStatus("open directory " + path);
  if (fsetxattr(fd.get(), "trusted.overlay.opaque", "y", 1, 0) != 0)
    return ErrnoStatus(absl::StrCat("mark directory ", path, " as opaque"));
  return absl::OkStatus();
}

}  // namespace

RootfsWriter::RootfsWriter(int dir_fd, WhiteoutStyle whiteouts, uint64_t max_depth)
    : root_(dir_fd), whiteouts_(whiteouts), max_depth_(max_depth) {}

absl::StatusOr<std::string> RootfsWriter::RealPath(int fd) const {
  const auto read = [](int of) -> absl::StatusOr<std::string> {
    char buffer[PATH_MAX * 2];
    const std::string link = absl::StrCat("/proc/self/fd/", of);
    const ssize_t size = readlink(link.c_str(), buffer, sizeof(buffer));
    if (size < 0) return ErrnoStatus("readlink " + link);
    if (size >= PATH_MAX) return absl::InvalidArgumentError("a directory's path is longer than PATH_MAX");
    return std::string(buffer, size);
  };
  ASSIGN_OR_RETURN(const std::string root, read(root_));
  ASSIGN_OR_RETURN(const std::string path, read(fd));
  absl::string_view rest = path;
  if (path == root) return std::string();
  if (!absl::ConsumePrefix(&rest, root) || (root != "/" && !absl::ConsumePrefix(&rest, "/")))
    return absl::InternalError(absl::StrCat("resolved ", path, " which is not below ", root));
  return std::string(rest);
}

// The directory at `path`, following links as a process with this root would. Paths without links, nearly all, take
// one system call.
absl::StatusOr<RootfsWriter::OpenedDir> RootfsWriter::Walk(const std::string& path) const {
  if (UniqueFd fd = OpenPlain(root_, path, O_PATH); fd) return OpenedDir{std::move(fd), path};
  if (errno != ELOOP) return ErrnoStatus("open directory " + path);
  ASSIGN_OR_RETURN(UniqueFd fd, OpenInRoot(root_, path, O_PATH | O_DIRECTORY));
  ASSIGN_OR_RETURN(std::string real, RealPath(fd.get()));
  return OpenedDir{std::move(fd), std::move(real)};
}

// A directory that the archive has no entry for, or none yet.
absl::StatusOr<RootfsWriter::OpenedDir> RootfsWriter::MakeDir(const std::string& path) {
  ASSIGN_OR_RETURN(const Place place, Locate(path));
  if (mkdirat(place.dir(), place.name.c_str(), 0755) != 0) return ErrnoStatus("mkdir " + path);
  Made(place.path());
  UniqueFd fd(openat(place.dir(), place.name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return ErrnoStatus("open directory " + path);
  return OpenedDir{std::move(fd), place.path()};
}

absl::StatusOr<std::shared_ptr<const RootfsWriter::OpenedDir>> RootfsWriter::OpenDir(const std::string& path) {
  if (auto cached = dirs_.find(path); cached != dirs_.end()) return cached->second;
  auto opened = Walk(path);
  if (!opened.ok() && absl::IsNotFound(opened.status())) opened = MakeDir(path);
  if (!opened.ok()) return opened.status();
  // Links can lead deeper than the archive's own paths are.
  if (DepthOf(opened->path) > max_depth_)
    return absl::InvalidArgumentError(absl::StrCat("more than ", max_depth_, " directories below each other"));
  if (dirs_.size() >= kCachedDirs) dirs_.clear();
  auto shared = std::make_shared<const OpenedDir>(*std::move(opened));
  dirs_[path] = shared;
  return shared;
}

absl::StatusOr<RootfsWriter::Place> RootfsWriter::Locate(const std::string& path) {
  auto [parent, name] = SplitPath(path);
  ASSIGN_OR_RETURN(auto dir, OpenDir(parent));
  return Place{std::move(dir), std::move(name)};
}

absl::StatusOr<RootfsWriter::Place> RootfsWriter::LocateExisting(const std::string& path) const {
  auto [parent, name] = SplitPath(path);
  ASSIGN_OR_RETURN(OpenedDir dir, Walk(parent));
  return Place{std::make_shared<const OpenedDir>(std::move(dir)), std::move(name)};
}

void RootfsWriter::Made(const std::string& path) {
  if (whiteouts_ != WhiteoutStyle::kNone) return;
  for (std::string at = path; !at.empty() && made_.insert(at).second; at = SplitPath(at).first) {
  }
}

absl::Status RootfsWriter::Clear(const Place& place) {
  struct stat st;
  if (!StatAt(place.dir(), place.name, &st))
    return errno == ENOENT ? absl::OkStatus() : ErrnoStatus("stat " + place.path());
  if (S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode)) dirs_.clear();
  if (S_ISDIR(st.st_mode)) return RemoveTree(ProcPath(place.dir(), place.name));
  if (unlinkat(place.dir(), place.name.c_str(), 0) != 0) return ErrnoStatus("remove " + place.path());
  return absl::OkStatus();
}

absl::Status RootfsWriter::Make(const Place& place, const char* what, const std::function<int()>& make) {
  if (make() != 0) {
    if (errno != EEXIST) return ErrnoStatus(what);
    RETURN_IF_ERROR(Clear(place));
    if (make() != 0) return ErrnoStatus(what);
  }
  Made(place.path());
  return absl::OkStatus();
}

absl::Status RootfsWriter::SetXattrs(int fd, const EntryAttributes& attributes) {
  for (const auto& [name, value] : attributes.xattrs) {
    if (fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) == 0) continue;
    if (errno != ENOTSUP) return ErrnoStatus("set extended attribute " + name);
    ++ignored_xattrs_;
  }
  return absl::OkStatus();
}

absl::Status RootfsWriter::FinishFile(int fd, const EntryAttributes& attributes) {
  // In this order: a change of the owner clears setuid bits and capabilities.
  if (fchown(fd, attributes.uid, attributes.gid) != 0) return ErrnoStatus("chown");
  if (fchmod(fd, attributes.mode) != 0) return ErrnoStatus("chmod");
  RETURN_IF_ERROR(SetXattrs(fd, attributes));
  const timespec times[2] = {attributes.mtime, attributes.mtime};
  if (futimens(fd, times) != 0) return ErrnoStatus("set times");
  return absl::OkStatus();
}

// For what can't be opened without side effects.
absl::Status RootfsWriter::SetNodeAttributes(const Place& place, const EntryAttributes& attributes) {
  const char* name = place.name.c_str();
  if (fchownat(place.dir(), name, attributes.uid, attributes.gid, AT_SYMLINK_NOFOLLOW) != 0)
    return ErrnoStatus("chown");
  struct stat st;
  if (!StatAt(place.dir(), place.name, &st)) return ErrnoStatus("stat");
  if (!S_ISLNK(st.st_mode) && fchmodat(place.dir(), name, attributes.mode, 0) != 0) return ErrnoStatus("chmod");
  ignored_xattrs_ += attributes.xattrs.size();
  const timespec times[2] = {attributes.mtime, attributes.mtime};
  if (utimensat(place.dir(), name, times, AT_SYMLINK_NOFOLLOW) != 0) return ErrnoStatus("set times");
  return absl::OkStatus();
}

absl::Status RootfsWriter::Directory(const std::string& path, const EntryAttributes& attributes) {
  std::string real;
  UniqueFd fd;
  if (path.empty()) {
    fd = OpenPlain(root_, "", O_RDONLY);
  } else {
    ASSIGN_OR_RETURN(const Place place, Locate(path));
    real = place.path();
    struct stat st;
    bool was_whiteout = false;
    if (mkdirat(place.dir(), place.name.c_str(), 0700) != 0) {
      if (errno != EEXIST) return ErrnoStatus("mkdir");
      if (!StatAt(place.dir(), place.name, &st)) return ErrnoStatus("stat");
      was_whiteout = IsWhiteout(st);
      if (!S_ISDIR(st.st_mode)) {
        RETURN_IF_ERROR(Clear(place));
        if (mkdirat(place.dir(), place.name.c_str(), 0700) != 0) return ErrnoStatus("mkdir");
      }
    }
    Made(real);
    fd.reset(openat(place.dir(), place.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (fd && was_whiteout) RETURN_IF_ERROR(MakeOpaque(fd.get(), real));
  }
  if (!fd) return ErrnoStatus("open directory");
  dir_times_[real] = attributes.mtime;
  return FinishFile(fd.get(), attributes);
}

absl::Status RootfsWriter::Symlink(const std::string& path, const std::string& target,
                                   const EntryAttributes& attributes) {
  ASSIGN_OR_RETURN(const Place place, Locate(path));
  RETURN_IF_ERROR(
      Make(place, "make symbolic link", [&] { return symlinkat(target.c_str(), place.dir(), place.name.c_str()); }));
  return SetNodeAttributes(place, attributes);
}

absl::Status RootfsWriter::Node(const std::string& path, mode_t type, dev_t device, const EntryAttributes& attributes) {
  ASSIGN_OR_RETURN(const Place place, Locate(path));
  RETURN_IF_ERROR(
      Make(place, "make device", [&] { return mknodat(place.dir(), place.name.c_str(), type | 0600, device); }));
  return SetNodeAttributes(place, attributes);
}

absl::Status RootfsWriter::HardLink(const std::string& path, const std::string& target) {
  auto from = LocateExisting(target);
  struct stat st;
  if (!from.ok() || !StatAt(from->dir(), from->name, &st) || IsWhiteout(st))
    return absl::InvalidArgumentError(absl::StrCat("hard link to ", target, ", which this layer does not have"));
  if (S_ISDIR(st.st_mode)) return absl::InvalidArgumentError(absl::StrCat("hard link to the directory ", target));
  ASSIGN_OR_RETURN(const Place place, Locate(path));
  struct stat there;
  if (StatAt(place.dir(), place.name, &there) && there.st_dev == st.st_dev && there.st_ino == st.st_ino)
    return absl::OkStatus();  // making room for it would remove its target
  return Make(place, "make hard link",
              [&] { return linkat(from->dir(), from->name.c_str(), place.dir(), place.name.c_str(), 0); });
}

absl::StatusOr<UniqueFd> RootfsWriter::BeginFile(const std::string& path) {
  ASSIGN_OR_RETURN(const Place place, Locate(path));
  UniqueFd fd;
  RETURN_IF_ERROR(Make(place, "create file", [&] {
    fd.reset(openat(place.dir(), place.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    return fd ? 0 : -1;
  }));
  return fd;
}

absl::Status RootfsWriter::Whiteout(const std::string& path) {
  return whiteouts_ == WhiteoutStyle::kOverlay ? WhiteoutOverlay(path) : RemoveLower(path);
}

absl::Status RootfsWriter::WhiteoutOverlay(const std::string& path) {
  ASSIGN_OR_RETURN(const Place place, Locate(path));
  if (mknodat(place.dir(), place.name.c_str(), S_IFCHR, makedev(0, 0)) == 0) return absl::OkStatus();
  if (errno != EEXIST) return ErrnoStatus("make whiteout");
  // This layer has made something there: it stays, and hides the lower one by itself unless it is a directory.
  struct stat st;
  if (!StatAt(place.dir(), place.name, &st)) return ErrnoStatus("stat");
  if (!S_ISDIR(st.st_mode)) return absl::OkStatus();
  UniqueFd fd(openat(place.dir(), place.name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return ErrnoStatus("open directory");
  return MakeOpaque(fd.get(), path);
}

absl::Status RootfsWriter::RemoveLower(const std::string& path) {
  auto place = LocateExisting(path);
  if (!place.ok()) return absl::IsNotFound(place.status()) ? absl::OkStatus() : place.status();
  if (made_.count(place->path()) == 0) return Clear(*place);
  UniqueFd fd(openat(place->dir(), place->name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return absl::OkStatus();  // this layer's own file
  return RemoveLowerChildren(fd.get(), place->path());
}

absl::Status RootfsWriter::OpaqueDirectory(const std::string& path) {
  ASSIGN_OR_RETURN(auto dir, OpenDir(path));
  if (whiteouts_ == WhiteoutStyle::kOverlay) return MakeOpaque(dir->fd.get(), path);
  return RemoveLowerChildren(dir->fd.get(), dir->path);
}

absl::Status RootfsWriter::RemoveLowerChildren(int dir_fd, const std::string& path) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(ProcPath(dir_fd, ".")));
  dirs_.clear();
  for (const std::string& name : names) {
    const std::string child = path.empty() ? name : absl::StrCat(path, "/", name);
    if (made_.count(child) == 0) {
      RETURN_IF_ERROR(RemoveTree(ProcPath(dir_fd, name)));
      continue;
    }
    UniqueFd fd(openat(dir_fd, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (fd) RETURN_IF_ERROR(RemoveLowerChildren(fd.get(), child));
  }
  return absl::OkStatus();
}

absl::Status RootfsWriter::Finish() {
  for (const auto& [path, mtime] : dir_times_) {
    UniqueFd fd = OpenPlain(root_, path, O_RDONLY);
    if (!fd) {
      if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) continue;  // a later entry replaced it
      return ErrnoStatus("open directory " + path);
    }
    const timespec times[2] = {mtime, mtime};
    if (futimens(fd.get(), times) != 0) return ErrnoStatus("set times of " + path);
  }
  return absl::OkStatus();
}

}  // namespace berth
