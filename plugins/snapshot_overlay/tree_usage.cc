#include "plugins/snapshot_overlay/tree_usage.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/snapshot_overlay/directory.h"

namespace berth::snapshot_overlay {
namespace {

// A tree deeper than this costs no more descriptors: the way back up is then found by "..".
constexpr size_t kDepthWithDescriptors = 64;
constexpr uint64_t kEntriesBetweenQuestions = 1024;
constexpr uint64_t kBlockBytes = 512;  // of st_blocks, whatever the file system's own are

// FNV-1a. It is to tell damage, not an attack.
class Hash {
 public:
  explicit Hash(uint64_t from = 0xcbf29ce484222325) : value_(from) {}
  Hash& Add(std::string_view bytes) {
    for (const char c : bytes) value_ = (value_ ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return *this;
  }
  Hash& Add(uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) value_ = (value_ ^ ((number >> shift) & 0xff)) * 0x100000001b3;
    return *this;
  }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_;
};

// Of one entry whose path has the hash `path`. A directory's size is its file system's own matter.
uint64_t HashOfEntry(uint64_t path, const struct stat& st) {
  const bool sized = S_ISREG(st.st_mode) || S_ISLNK(st.st_mode);
  const bool device = S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode);
  Hash hash(path);
  for (const uint64_t number : {uint64_t{st.st_mode}, uint64_t{st.st_uid}, uint64_t{st.st_gid},
                                sized ? static_cast<uint64_t>(st.st_size) : 0, device ? uint64_t{st.st_rdev} : 0}) {
    hash.Add(number);
  }
  return hash.value();
}

class Walk {
 public:
  explicit Walk(const std::function<bool()>& give_up) : give_up_(give_up) {}

  sdk::Status Run(int dir_fd);
  TreeUsage usage() const {
    TreeUsage usage = usage_;
    usage.fingerprint += usage.fingerprint == 0 ? 1 : 0;
    return usage;
  }

 private:
  struct Level {
    sdk::UniqueFd fd;  // invalid when deep and not the current one
    dev_t device = 0;
    ino_t inode = 0;
    uint64_t path = 0;                     // hash of its path in the tree
    std::vector<std::string> directories;  // still to be walked
  };

  static uint64_t PathOf(const Level& level, std::string_view name) {
    return Hash(level.path).Add("/").Add(name).value();
  }
  sdk::Status Enter(sdk::UniqueFd fd, uint64_t path);
  sdk::Status ReadEntries(Level* level);
  void Leave();
  void Count(uint64_t path, const struct stat& st);

  const std::function<bool()>& give_up_;
  TreeUsage usage_;
  uint64_t entries_ = 0;
  std::vector<Level> levels_;
  std::set<std::pair<dev_t, ino_t>> linked_;
};

// The fingerprint is a sum, so that the order of a directory's entries does not matter.
void Walk::Count(uint64_t path, const struct stat& st) {
  usage_.fingerprint += HashOfEntry(path, st);
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
    Count(PathOf(*level, name), st);
    // Another file system is not the snapshot's.
    if (S_ISDIR(st.st_mode) && st.st_dev == level->device) level->directories.emplace_back(name);
    return sdk::Status();
  });
}

sdk::Status Walk::Enter(sdk::UniqueFd fd, uint64_t path) {
  struct stat st;
  if (fstat(fd.get(), &st) != 0) return sdk::ErrnoStatus(errno, "stat a directory");
  Level level{std::move(fd), st.st_dev, st.st_ino, path, {}};
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
  const uint64_t path = Hash().value();
  Count(path, st);
  BERTH_RETURN_IF_ERROR(Enter(std::move(top), path));
  while (!levels_.empty()) {
    Level& level = levels_.back();
    if (level.directories.empty()) {
      Leave();
      continue;
    }
    const std::string name = std::move(level.directories.back());
    level.directories.pop_back();
    const uint64_t path = PathOf(level, name);
    sdk::UniqueFd fd(openat(level.fd.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.valid()) {
      if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) continue;  // replaced since it was listed
      return sdk::ErrnoStatus(errno, "open directory " + name);
    }
    BERTH_RETURN_IF_ERROR(Enter(std::move(fd), path));
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
