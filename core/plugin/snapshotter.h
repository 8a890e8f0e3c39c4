// Snapshotter: keeps the file trees of image layers and of containers.
//
// The host names snapshots (short keys of [a-z0-9], never used twice) and keeps their metadata: which layer a key
// holds, its parents, its users. A snapshotter keeps trees under those keys and nothing else, so that there is one
// source of truth and a crash leaves at worst a tree that the host's sweep finds with Walk() and removes.
//
// Life of a key: Prepare -> (Commit) -> Remove. Any thread; the host never calls two operations on one key at once.
#ifndef BERTH_CORE_PLUGIN_SNAPSHOTTER_H_
#define BERTH_CORE_PLUGIN_SNAPSHOTTER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/unique_fd.h"
#include "core/plugin/call.h"

namespace berth {

// One mount(2) of a rootfs, in order. `target` is relative to the rootfs, "" is the rootfs itself.
struct RootfsMount {
  std::string type, source, target;
  // As in fstab: "lowerdir=...", "ro", "bind", "nosuid", ... `x-berth.cwd=/DIR` names the directory that relative paths
  // in the others start from; it is not handed to the kernel.
  std::vector<std::string> options;
};

// ids [inside, inside + count) of the container are [host, host + count) outside. Empty vectors: no mapping.
struct IdMapping {
  uint32_t inside = 0, host = 0, count = 0;
};

enum class SnapshotKind : int32_t {
  kLayer = 0,      // to be unpacked into, then committed
  kContainer = 1,  // writable for the life of a container
  kView = 2,       // read-only
};

// How a deleted name and an opaque directory are written into a layer's tree.
enum class WhiteoutStyle : int32_t {
  kOverlay = 0,  // character device 0:0; xattr trusted.overlay.opaque=y
  kNone = 1,     // the tree already holds the parents' files: the unpacker deletes them
};

enum SnapshotterCapability : uint64_t {
  // A kLayer needs no parents at Prepare: layers of one image may be unpacked at the same time.
  kParentAtCommit = 1,
  kIdMapped = 2,  // uid_map / gid_map of a request are honoured
  kQuota = 4,     // quota_bytes is honoured
};

struct SnapshotRequest {
  std::string key;
  SnapshotKind kind = SnapshotKind::kLayer;
  std::vector<std::string> parents;  // committed keys, nearest first; empty for a base layer
  std::vector<IdMapping> uid_map, gid_map;
  uint64_t quota_bytes = 0;  // 0: none
  std::map<std::string, std::string> labels;
};

struct PreparedSnapshot {
  UniqueFd directory;  // kLayer: the tree to unpack into (O_DIRECTORY, not O_PATH)
  WhiteoutStyle whiteouts = WhiteoutStyle::kOverlay;
  std::vector<RootfsMount> mounts;  // kContainer and kView: what makes the rootfs
};

enum class SnapshotState : int32_t { kActive = 0, kCommitted = 1 };

struct SnapshotInfo {
  std::string key;
  SnapshotState state = SnapshotState::kActive;
};

struct SnapshotUsage {
  uint64_t bytes = 0;  // allocated on disk, of this snapshot alone
  uint64_t inodes = 0;
  // Of a committed layer: a number made of the names, kinds, owners, modes and sizes of all that is in its tree, the
  // same in every release. 0: not known.
  uint64_t fingerprint = 0;
};

class Snapshotter {
 public:
  virtual ~Snapshotter() = default;

  virtual uint64_t capabilities() const = 0;
  // The directory that holds all trees: what ImageFsInfo reports.
  virtual std::string root() const = 0;

  // kAlreadyExists for a key in use, kNotFound for an unknown parent.
  virtual absl::StatusOr<PreparedSnapshot> Prepare(const Call& call, const SnapshotRequest& request) = 0;
  // The mounts of an existing kContainer or kView, as Prepare returned them: after a restart.
  virtual absl::StatusOr<std::vector<RootfsMount>> Mounts(const Call& call, const SnapshotRequest& request) = 0;
  // Makes a kLayer immutable and usable as a parent, atomically. The host has synced its files. Idempotent.
  virtual absl::Status Commit(const Call& call, const std::string& key, const std::vector<std::string>& parents) = 0;
  // kNotFound for an unknown key. A removed tree is out of the way at once; the disk space may follow in Cleanup.
  virtual absl::Status Remove(const Call& call, const std::string& key) = 0;
  virtual absl::StatusOr<SnapshotInfo> Stat(const Call& call, const std::string& key) = 0;
  virtual absl::StatusOr<SnapshotUsage> Usage(const Call& call, const std::string& key) = 0;
  // Every key there is, in any order.
  virtual absl::Status Walk(const Call& call, const std::function<void(const SnapshotInfo&)>& visit) = 0;
  // Frees the space of what was removed, and what an interrupted operation left.
  virtual absl::Status Cleanup(const Call& call) = 0;
};

}  // namespace berth

#endif  // BERTH_CORE_PLUGIN_SNAPSHOTTER_H_
