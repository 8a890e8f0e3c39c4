// Write a snapshotter: derive from Snapshotter, take a Host in the constructor, and end the file with
// BERTH_SNAPSHOTTER_PLUGIN("name", "1.0.0", Type);
//
// The host names snapshots (keys of [a-z0-9]{1,32}, never used twice) and keeps their metadata; a snapshotter keeps
// trees under those keys and nothing else. Any thread; never two operations on one key at once. Life of a key:
// Prepare -> (Commit) -> Remove. berth/abi/snapshotter.h is the whole contract.
#ifndef BERTH_SDK_SNAPSHOTTER_H_
#define BERTH_SDK_SNAPSHOTTER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "berth/abi/snapshotter.h"
#include "berth/sdk/call.h"
#include "berth/sdk/host.h"
#include "berth/sdk/internal.h"
#include "berth/sdk/module.h"
#include "berth/sdk/status.h"
#include "berth/sdk/unique_fd.h"

namespace berth::sdk {

// One mount(2) of a rootfs. `target` is relative to the rootfs, "" is the rootfs itself.
struct Mount {
  std::string type, source, target;
  std::vector<std::string> options;  // as in fstab: "lowerdir=...", "ro", "nosuid"
};

// Ids [inside, inside + count) of the container are [host, host + count) outside.
struct IdMapping {
  uint32_t inside = 0, host = 0, count = 0;
};

enum class SnapshotKind : int32_t {
  kLayer = BERTH_SNAPSHOT_LAYER,          // to be unpacked into, then committed
  kContainer = BERTH_SNAPSHOT_CONTAINER,  // writable for the life of a container
  kView = BERTH_SNAPSHOT_VIEW,            // read-only
};

// How a deleted name and an opaque directory are written into a layer's tree.
enum class WhiteoutStyle : int32_t {
  kOverlay = BERTH_WHITEOUT_OVERLAY,  // character device 0:0; xattr trusted.overlay.opaque=y
  kNone = BERTH_WHITEOUT_NONE,        // the tree holds the parents' files already: the unpacker deletes them
};

enum SnapshotterCapability : uint64_t {
  kParentAtCommit = BERTH_SNAPSHOTTER_PARENT_AT_COMMIT,  // layers of one image may be unpacked at the same time
  kIdMapped = BERTH_SNAPSHOTTER_ID_MAPPED,
  kQuota = BERTH_SNAPSHOTTER_QUOTA,
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
  std::vector<Mount> mounts;  // kContainer and kView: what makes the rootfs, in order
};

enum class SnapshotState : int32_t { kActive = BERTH_SNAPSHOT_ACTIVE, kCommitted = BERTH_SNAPSHOT_COMMITTED };

struct SnapshotInfo {
  std::string key;
  SnapshotState state = SnapshotState::kActive;
};

struct SnapshotUsage {
  uint64_t bytes = 0;  // allocated on disk, of this snapshot alone
  uint64_t inodes = 0;
  uint64_t fingerprint = 0;  // of names, kinds, owners, modes and sizes, the same in every release; 0: not known
};

class Snapshotter {
 public:
  virtual ~Snapshotter() = default;

  virtual uint64_t capabilities() const { return 0; }
  // The directory that holds all trees: what ImageFsInfo reports.
  virtual std::string root() const = 0;

  // kAlreadyExists for a key in use, kNotFound for an unknown parent.
  virtual Result<PreparedSnapshot> Prepare(const Call& call, const SnapshotRequest& request) = 0;
  // The mounts of an existing kContainer or kView, as Prepare returned them: after a restart.
  virtual Result<std::vector<Mount>> Mounts(const Call& call, const SnapshotRequest& request) = 0;
  // Makes a kLayer immutable and usable as a parent, atomically. The host has synced its files. Idempotent.
  virtual Status Commit(const Call& call, const std::string& key, const std::vector<std::string>& parents) = 0;
  // kNotFound for an unknown key. The tree is out of the way at once; its space may follow in Cleanup.
  virtual Status Remove(const Call& call, const std::string& key) = 0;
  virtual Result<SnapshotInfo> Stat(const Call& call, const std::string& key) = 0;
  virtual Result<SnapshotUsage> Usage(const Call& call, const std::string& key) = 0;
  // Every key there is, in any order.
  virtual Status Walk(const Call& call, const std::function<void(const SnapshotInfo&)>& visit) = 0;
  // Frees the space of what was removed, and what an interrupted operation left.
  virtual Status Cleanup(const Call&) { return {}; }
};

namespace internal {

inline std::vector<IdMapping> IdMap(const berth_id_mapping* items, uint64_t count) {
  std::vector<IdMapping> out;
  out.reserve(count);
  for (uint64_t i = 0; i < count; ++i) out.push_back({items[i].inside, items[i].host, items[i].count});
  return out;
}

inline SnapshotRequest ToRequest(const berth_snapshot_request* r) {
  SnapshotRequest out;
  out.key = String(r->key);
  out.kind = static_cast<SnapshotKind>(r->kind);
  out.parents = Strings(r->parents, r->parent_count);
  out.uid_map = IdMap(r->uid_map, r->uid_map_count);
  out.gid_map = IdMap(r->gid_map, r->gid_map_count);
  out.quota_bytes = r->quota_bytes;
  out.labels = Map(r->labels, r->label_count);
  return out;
}

inline void Deliver(UniqueFd directory, WhiteoutStyle whiteouts, const std::vector<Mount>& mounts,
                    const berth_prepared_sink* out) {
  std::vector<std::vector<berth_str>> options;
  options.reserve(mounts.size());
  for (const Mount& m : mounts) options.push_back(Strs(m.options));
  std::vector<berth_mount> raw;
  raw.reserve(mounts.size());
  for (size_t i = 0; i < mounts.size(); ++i) {
    const Mount& m = mounts[i];
    raw.push_back(
        {sizeof(berth_mount), 0, Str(m.type), Str(m.source), Str(m.target), options[i].data(), options[i].size()});
  }
  std::vector<const berth_mount*> pointers;
  pointers.reserve(mounts.size());
  for (const berth_mount& m : raw) pointers.push_back(&m);
  const berth_prepared prepared{sizeof(berth_prepared), directory.release(), static_cast<int32_t>(whiteouts), 0,
                                pointers.data(),        pointers.size()};
  out->put(out->ctx, &prepared);
}

inline void Deliver(const SnapshotInfo& info, const berth_snapshot_info_sink* out) {
  const berth_snapshot_info raw{sizeof(raw), static_cast<int32_t>(info.state), Str(info.key)};
  out->put(out->ctx, &raw);
}

// The C functions of one plugin class.
template <class T>
struct SnapshotterFunctions {
  static T& Self(void* self) { return *static_cast<T*>(self); }

  static int32_t Create(const berth_host* host, void** out, berth_error* err) noexcept {
    return Guard(err, [&] {
      *out = new T(Host(host));
      return Status();
    });
  }
  static void Destroy(void* self) noexcept { delete static_cast<T*>(self); }
  static uint64_t Capabilities(void* self) noexcept {
    return GuardedOr(uint64_t{0}, [&] { return Self(self).capabilities(); });
  }
  static int32_t Root(void* self, const berth_str_sink* out, berth_error* err) noexcept {
    return Guard(err, [&] {
      const std::string root = Self(self).root();
      out->put(out->ctx, Str(root));
      return Status();
    });
  }
  static int32_t Prepare(void* self, const berth_call* call, const berth_snapshot_request* request,
                         const berth_prepared_sink* out, berth_error* err) noexcept {
    return Guard(err, [&]() -> Status {
      BERTH_ASSIGN_OR_RETURN(PreparedSnapshot p, Self(self).Prepare(ToCall(call), ToRequest(request)));
      Deliver(std::move(p.directory), p.whiteouts, p.mounts, out);
      return {};
    });
  }
  static int32_t Mounts(void* self, const berth_call* call, const berth_snapshot_request* request,
                        const berth_prepared_sink* out, berth_error* err) noexcept {
    return Guard(err, [&]() -> Status {
      BERTH_ASSIGN_OR_RETURN(const std::vector<Mount> mounts, Self(self).Mounts(ToCall(call), ToRequest(request)));
      Deliver(UniqueFd(), WhiteoutStyle::kOverlay, mounts, out);
      return {};
    });
  }
  static int32_t Commit(void* self, const berth_call* call, const berth_snapshot_request* request,
                        berth_error* err) noexcept {
    return Guard(err, [&] {
      return Self(self).Commit(ToCall(call), String(request->key), Strings(request->parents, request->parent_count));
    });
  }
  static int32_t Remove(void* self, const berth_call* call, berth_str key, berth_error* err) noexcept {
    return Guard(err, [&] { return Self(self).Remove(ToCall(call), String(key)); });
  }
  static int32_t Stat(void* self, const berth_call* call, berth_str key, const berth_snapshot_info_sink* out,
                      berth_error* err) noexcept {
    return Guard(err, [&]() -> Status {
      BERTH_ASSIGN_OR_RETURN(const SnapshotInfo info, Self(self).Stat(ToCall(call), String(key)));
      Deliver(info, out);
      return {};
    });
  }
  static int32_t Usage(void* self, const berth_call* call, berth_str key, berth_snapshot_usage* out,
                       berth_error* err) noexcept {
    return Guard(err, [&]() -> Status {
      BERTH_ASSIGN_OR_RETURN(const SnapshotUsage usage, Self(self).Usage(ToCall(call), String(key)));
      out->bytes = usage.bytes;
      out->inodes = usage.inodes;
      if (BERTH_HAS(out, fingerprint)) out->fingerprint = usage.fingerprint;
      return {};
    });
  }
  static int32_t Walk(void* self, const berth_call* call, const berth_snapshot_info_sink* each,
                      berth_error* err) noexcept {
    return Guard(err,
                 [&] { return Self(self).Walk(ToCall(call), [&](const SnapshotInfo& info) { Deliver(info, each); }); });
  }
  static int32_t Cleanup(void* self, const berth_call* call, berth_error* err) noexcept {
    return Guard(err, [&] { return Self(self).Cleanup(ToCall(call)); });
  }

  static constexpr berth_snapshotter kTable = {sizeof(berth_snapshotter),
                                               0,
                                               &Create,
                                               &Destroy,
                                               &Capabilities,
                                               &Root,
                                               &Prepare,
                                               &Mounts,
                                               &Commit,
                                               &Remove,
                                               &Stat,
                                               &Usage,
                                               &Walk,
                                               &Cleanup};
};

}  // namespace internal
}  // namespace berth::sdk

#define BERTH_KIND_SNAPSHOTTER(Type) \
  { BERTH_SNAPSHOTTER, &::berth::sdk::internal::SnapshotterFunctions<Type>::kTable }
#define BERTH_SNAPSHOTTER_PLUGIN(plugin_name, plugin_version, Type) \
  BERTH_PLUGIN(plugin_name, plugin_version, BERTH_KIND_SNAPSHOTTER(Type))

#endif  // BERTH_SDK_SNAPSHOTTER_H_
