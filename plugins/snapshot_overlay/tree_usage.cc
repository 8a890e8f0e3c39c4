#include "plugins/snapshot_overlay/tree_usage.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "plugins/snapshot_overlay/directory.h"

namespace berth::snapshot_overlay {
namespace {

// A tree deeper than this costs no more descriptors: the way back up is then found by "..".
constexpr size_t kDepthWithDescriptors = 64;
constexpr uint64_t kEntriesBetweenQuestions = 1024;
constexpr uint64_t kBlockBytes = 512;  // of st_blocks, whatever the file system's own are

class Walk {
 public:
  explicit Walk(const std::function<bool()>& give_up) : give_up_(give_up) {}

  sdk::Status Run(int dir_fd);
  TreeUsage usage() const { return usage_; }

 private:
  struct Level {
    sdk::UniqueFd fd;  // invalid when deep and not the current one
    dev_t device = 0;
    ino_t inode = 0;
    std::vector<std::string> directories;  // still to be walked
  };

  sdk::Status Enter(sdk::UniqueFd fd);
  sdk::Status ReadEntries(Level* level);
  void Leave();
  void Count(const struct stat& st);

  const std::function<bool()>& give_up_;
  TreeUsage usage_;
  uint64_t entries_ = 0;
  std::vector<Level> levels_;
  std::set<std::pair<dev_t, ino_t>> linked_;
};

void Walk::Count(const struct stat& st) {
  if (!S_ISDIR(st.st_mode) && st.st_nlink > 1 && !linked_.emplace(st.st_dev, st.st_ino).second) return;
  usage_.bytes += static_cast<uint64_t>(st.st_blocks) * kBlockBytes;
  usage_.inodes += 1;
}

sdk::Status Walk::ReadEntries(Level* level) {
  return ForEachEntry(level->fd.get(), [&](const char* name) -> sdk::Status {
    if (++entries_ % kEntriesBetweenQuestions == 0 && give_up_()) {
      return sdk::Cancelled("measure a tree: the caller gave up");
    }
    struct stat st;
    if (fstatat(level->fd.get(), name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
      return errno == ENOENT ? sdk::Status() : sdk::ErrnoStatus(errno, std::string("stat ") + name);
    }
    Count(st);
    // Another file system is not the snapshot's.
    if (S_ISDIR(st.st_mode) && st.st_dev == level->device) level->directories.emplace_back(name);
    return sdk::Status();
  });
}

sdk::Status Walk::Enter(sdk::UniqueFd fd) {
  struct stat st;
  if (fstat(fd.get(), &st) != 0) return sdk::ErrnoStatus(errno, "stat a directory");
  Level level{std::move(fd), st.st_dev, st.st_ino, {}};
  BERTH_RETURN_IF_ERROR(ReadEntries(&level));
  if (levels_.size() > kDepthWithDescriptors) levels_.back().fd.reset();
  levels_.push_back(std::move(level));
  return sdk::Status();
}

// Goes back up. A parent without a descriptor is reached by ".."; when somebody moved the directory meanwhile that is
// another one, and the walk goes on from the nearest level that has a descriptor.
void Walk::Leave() {
  sdk::UniqueFd child = std::move(levels_.back().fd);
  levels_.pop_back();
  if (levels_.empty() || levels_.back().fd.valid()) return;
  sdk::UniqueFd parent(openat(child.get(), "..", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat st;
  const Level& level = levels_.back();
  if (parent.valid() && fstat(parent.get(), &st) == 0 && st.st_dev == level.device && st.st_ino == level.inode) {
    levels_.back().fd = std::move(parent);
    return;
  }
  while (!levels_.back().fd.valid()) levels_.pop_back();
}

sdk::Status Walk::Run(int dir_fd) {
  sdk::UniqueFd top(openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat st;
  if (!top.valid() || fstat(top.get(), &st) != 0) return sdk::ErrnoStatus(errno, "open a tree");
  Count(st);
  BERTH_RETURN_IF_ERROR(Enter(std::move(top)));
  while (!levels_.empty()) {
    Level& level = levels_.back();
    if (level.directories.empty()) {
      Leave();
      continue;
    }
    const std::string name = std::move(level.directories.back());
    level.directories.pop_back();
    sdk::UniqueFd fd(openat(level.fd.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.valid()) {
      if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) continue;  // replaced since it was listed
      return sdk::ErrnoStatus(errno, "open directory " + name);
    }
    BERTH_RETURN_IF_ERROR(Enter(std::move(fd)));
  }
  return sdk::Status();
}

}  // namespace

sdk::Result<TreeUsage> MeasureTree(int dir_fd, const std::function<bool()>& give_up) {
  Walk walk(give_up);
  BERTH_RETURN_IF_ERROR(walk.Run(dir_fd));
  return walk.usage();
}

}  // namespace berth::snapshot_overlay
