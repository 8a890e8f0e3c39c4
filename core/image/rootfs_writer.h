// Makes the files of one layer below a directory. Names come from an archive and are hostile: each is resolved with
// openat2 below the directory, and the last component is never followed.
#ifndef BERTH_CORE_IMAGE_ROOTFS_WRITER_H_
#define BERTH_CORE_IMAGE_ROOTFS_WRITER_H_

#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/base/unique_fd.h"
#include "core/plugin/snapshotter.h"

namespace berth {

// What an archive says of an entry besides its name and contents.
struct EntryAttributes {
  mode_t mode = 0;  // permissions with setuid, setgid and sticky; no type
  uid_t uid = 0;
  gid_t gid = 0;
  timespec mtime{};
  std::vector<std::pair<std::string, std::string>> xattrs;  // allowed ones only
};

// One layer, one thread. Paths are relative, without empty, . and .. components; "" is the directory itself. What an
// earlier entry made is replaced, a directory by a directory is kept with new attributes (later entries win).
class RootfsWriter {
 public:
  // Borrows `dir_fd`.
  RootfsWriter(int dir_fd, WhiteoutStyle whiteouts, uint64_t max_depth);

  absl::Status Directory(const std::string& path, const EntryAttributes& attributes);
  absl::Status Symlink(const std::string& path, const std::string& target, const EntryAttributes& attributes);
  // `type`: S_IFCHR, S_IFBLK, S_IFIFO or S_IFSOCK.
  absl::Status Node(const std::string& path, mode_t type, dev_t device, const EntryAttributes& attributes);
  // `target` must have been made by this layer, or be there already (WhiteoutStyle::kNone), and is no directory.
  absl::Status HardLink(const std::string& path, const std::string& target);
  // An empty file to write to; FinishFile gives it its attributes (they would be lost by a write).
  absl::StatusOr<UniqueFd> BeginFile(const std::string& path);
  absl::Status FinishFile(int fd, const EntryAttributes& attributes);

  // The lower layers' `path` is deleted. What this layer itself made there stays (layer.md: whiteouts apply only to
  // lower layers), a directory so that nothing of a lower one shows through.
  absl::Status Whiteout(const std::string& path);
  // The lower layers' children of the directory are deleted.
  absl::Status OpaqueDirectory(const std::string& path);

  // Sets the directories' times, which making files in them has changed. Last.
  absl::Status Finish();

  uint64_t ignored_xattrs() const { return ignored_xattrs_; }

 private:
  struct OpenedDir {
    UniqueFd fd;       // O_PATH
    std::string path;  // below root_, without links
  };
  // The directory an entry is made in, and the entry's name there.
  struct Place {
    std::shared_ptr<const OpenedDir> parent;
    std::string name;
    int dir() const { return parent->fd.get(); }
    std::string path() const { return parent->path.empty() ? name : parent->path + "/" + name; }
  };

  absl::StatusOr<Place> Locate(const std::string& path);
  absl::StatusOr<Place> LocateExisting(const std::string& path) const;
  absl::StatusOr<std::shared_ptr<const OpenedDir>> OpenDir(const std::string& path);
  absl::StatusOr<OpenedDir> Walk(const std::string& path) const;
  absl::StatusOr<OpenedDir> MakeDir(const std::string& path);
  absl::StatusOr<std::string> RealPath(int fd) const;
  // Runs `make` (a system call's result), and again after removing what was in its way.
  absl::Status Make(const Place& place, const char* what, const std::function<int()>& make);
  absl::Status Clear(const Place& place);
  absl::Status SetNodeAttributes(const Place& place, const EntryAttributes& attributes);
  absl::Status SetXattrs(int fd, const EntryAttributes& attributes);
  absl::Status WhiteoutOverlay(const std::string& path);
  absl::Status RemoveLower(const std::string& path);
  absl::Status RemoveLowerChildren(int dir_fd, const std::string& path);
  void Made(const std::string& path);

  const int root_;
  const WhiteoutStyle whiteouts_;
  const uint64_t max_depth_;
  // By the path as the archive has it. Dropped whenever something that could be on a path is removed.
  std::unordered_map<std::string, std::shared_ptr<const OpenedDir>> dirs_;
  std::unordered_map<std::string, timespec> dir_times_;  // by path without links
  std::unordered_set<std::string> made_;                 // kNone: by this layer, and the directories above that
  uint64_t ignored_xattrs_ = 0;
};

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_ROOTFS_WRITER_H_
