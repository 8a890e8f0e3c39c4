#include "core/plugin/snapshotter_adapter.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "berth/abi/snapshotter.h"
#include "core/base/path.h"
#include "core/base/status.h"
#include "core/plugin/instance.h"

namespace berth {
namespace {

constexpr uint64_t kMaxMounts = 256;
constexpr size_t kMaxOption = 64 << 10;

bool IsKey(absl::string_view key) {
  if (key.empty() || key.size() > 32) return false;
  for (const char c : key) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) return false;
  }
  return true;
}

absl::Status CheckKeys(const std::string& key, const std::vector<std::string>& parents) {
  if (!IsKey(key)) return absl::InvalidArgumentError(absl::StrCat("snapshot key \"", key, "\" is not [a-z0-9]{1,32}"));
  for (const std::string& parent : parents) RETURN_IF_ERROR(CheckKeys(parent, {}));
  return absl::OkStatus();
}

// A SnapshotRequest as the ABI has it; borrows from it.
class AbiRequest {
 public:
  explicit AbiRequest(const SnapshotRequest& request)
      : parents_(AbiStrs(request.parents)),
        labels_(AbiPairs(request.labels)),
        uid_map_(Map(request.uid_map)),
        gid_map_(Map(request.gid_map)),
        raw_{sizeof(raw_),        static_cast<int32_t>(request.kind),
             AbiStr(request.key), parents_.data(),
             parents_.size(),     uid_map_.data(),
             uid_map_.size(),     gid_map_.data(),
             gid_map_.size(),     request.quota_bytes,
             labels_.data(),      labels_.size()} {}
  AbiRequest(const AbiRequest&) = delete;
  AbiRequest& operator=(const AbiRequest&) = delete;

  const berth_snapshot_request* get() const { return &raw_; }

 private:
  static std::vector<berth_id_mapping> Map(const std::vector<IdMapping>& map) {
    std::vector<berth_id_mapping> out;
    out.reserve(map.size());
    for (const IdMapping& m : map) out.push_back({m.inside, m.host, m.count});
    return out;
  }

  const std::vector<berth_str> parents_;
  const std::vector<berth_pair> labels_;
  const std::vector<berth_id_mapping> uid_map_, gid_map_;
  const berth_snapshot_request raw_;
};

struct PreparedDelivery : Delivery {
  PreparedSnapshot prepared;

  static void Put(void* ctx, const berth_prepared* p) noexcept {
    auto* self = static_cast<PreparedDelivery*>(ctx);
    self->Take([&] { self->ReadPrepared(p); });
  }
  berth_prepared_sink sink() { return {sizeof(berth_prepared_sink), 0, this, &Put}; }

  void ReadPrepared(const berth_prepared* p) {
    if (!reader.Struct(p, "the prepared snapshot")) return;
    TakeDirectory(p->owned_directory_fd);
    if (p->whiteouts != BERTH_WHITEOUT_OVERLAY && p->whiteouts != BERTH_WHITEOUT_NONE) {
      reader.Fail("the whiteout style", "is unknown");
    }
    prepared.whiteouts = static_cast<WhiteoutStyle>(p->whiteouts);
    if (!reader.List(p->mounts, p->mount_count, "mounts", kMaxMounts)) return;
    for (uint64_t i = 0; i < p->mount_count && reader.ok(); ++i) ReadMount(p->mounts[i]);
  }

  // Standard streams are never the plugin's to give, and a descriptor that is not open not ours to close later.
  void TakeDirectory(int fd) {
    if (fd == -1) return;
    const int flags = fd > STDERR_FILENO ? fcntl(fd, F_GETFL) : -1;
    if (flags < 0) {
      reader.Fail("the directory", "is not an open descriptor");
      return;
    }
    prepared.directory = UniqueFd(fd);
    struct stat st = {};
    if (fstat(fd, &st) != 0 || !S_ISDIR(st.st_mode)) {
      reader.Fail("the directory", "is none");
    } else if ((flags & O_PATH) != 0) {
      reader.Fail("the directory", "was opened with O_PATH");
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
  }

  void ReadMount(const berth_mount* m) {
    if (!reader.Struct(m, "a mount")) return;
    RootfsMount out;
    out.type = reader.Text(m->type, "a mount's type", 64);
    out.source = reader.Text(m->source, "a mount's source");
    out.target = reader.Text(m->target, "a mount's target");
    out.options = reader.Texts(m->options, m->option_count, "a mount's options", kMaxOption);
    if (reader.ok() && out.type.empty()) reader.Fail("a mount's type", "is empty");
    if (reader.ok() && !out.target.empty() && !CheckRelativePath(out.target, "target").ok()) {
      reader.Fail("a mount's target", "is not a relative path without ..");
    }
    prepared.mounts.push_back(std::move(out));
  }
};

struct InfoDelivery : Delivery {
  std::vector<SnapshotInfo> infos;

  static void Put(void* ctx, const berth_snapshot_info* info) noexcept {
    auto* self = static_cast<InfoDelivery*>(ctx);
    self->Take([&] {
      if (!self->reader.Struct(info, "a snapshot")) return;
      SnapshotInfo out{self->reader.Text(info->key, "a snapshot's key"), static_cast<SnapshotState>(info->state)};
      if (self->reader.ok() && !IsKey(out.key)) self->reader.Fail("a snapshot's key", "is not [a-z0-9]{1,32}");
      if (info->state != BERTH_SNAPSHOT_ACTIVE && info->state != BERTH_SNAPSHOT_COMMITTED) {
        self->reader.Fail("a snapshot's state", "is unknown");
      }
      self->infos.push_back(std::move(out));
    });
  }
  berth_snapshot_info_sink sink() { return {sizeof(berth_snapshot_info_sink), 0, this, &Put}; }
};

struct RootDelivery : Delivery {
  std::string root;

  static void Put(void* ctx, berth_str text) noexcept {
    auto* self = static_cast<RootDelivery*>(ctx);
    self->Take([&] { self->root = self->reader.Path(text, "the root"); });
  }
  berth_str_sink sink() { return {sizeof(berth_str_sink), 0, this, &Put}; }
};

class Adapter : public Snapshotter {
 public:
  using Instance = PluginInstance<berth_snapshotter>;

  static absl::StatusOr<std::unique_ptr<Snapshotter>> Make(std::unique_ptr<Instance> instance) {
    uint64_t capabilities = 0;
    if (instance->table().capabilities != nullptr) capabilities = instance->table().capabilities(instance->self());
    RootDelivery root;
    const berth_str_sink sink = root.sink();
    RETURN_IF_ERROR(root.Check(instance->who(), instance->Invoke("root", instance->table().root, &sink)));
    return std::make_unique<Adapter>(std::move(instance), capabilities, std::move(root.root));
  }

  Adapter(std::unique_ptr<Instance> instance, uint64_t capabilities, std::string root)
      : instance_(std::move(instance)), capabilities_(capabilities), root_(std::move(root)) {}

  uint64_t capabilities() const override { return capabilities_; }
  std::string root() const override { return root_; }

  absl::StatusOr<PreparedSnapshot> Prepare(const Call& call, const SnapshotRequest& request) override {
    RETURN_IF_ERROR(CheckKeys(request.key, request.parents));
    bool made = false;
    absl::StatusOr<PreparedSnapshot> prepared = Deliver("prepare", instance_->table().prepare, call, request, &made);
    if (prepared.ok() && request.kind == SnapshotKind::kLayer && !prepared->directory) {
      prepared = Nonsense(request.key, "a layer without a directory");
    }
    if (prepared.ok() && request.kind != SnapshotKind::kLayer) {
      prepared->directory.reset();
      if (prepared->mounts.empty()) prepared = Nonsense(request.key, "a rootfs without a mount");
    }
    // It believes that it succeeded: the key must not stay in use.
    if (made && !prepared.ok()) Remove(call, request.key).IgnoreError();
    return prepared;
  }

  absl::StatusOr<std::vector<RootfsMount>> Mounts(const Call& call, const SnapshotRequest& request) override {
    RETURN_IF_ERROR(CheckKeys(request.key, request.parents));
    ASSIGN_OR_RETURN(PreparedSnapshot prepared, Deliver("mounts", instance_->table().mounts, call, request, nullptr));
    if (prepared.mounts.empty()) return Nonsense(request.key, "a rootfs without a mount");
    return std::move(prepared.mounts);
  }

  absl::Status Commit(const Call& call, const std::string& key, const std::vector<std::string>& parents) override {
    RETURN_IF_ERROR(CheckKeys(key, parents));
    SnapshotRequest request;
    request.key = key;
    request.parents = parents;
    const AbiRequest raw(request);
    const berth_call raw_call = AbiCall(call);
    return instance_->Invoke("commit", instance_->table().commit, &raw_call, raw.get());
  }

  absl::Status Remove(const Call& call, const std::string& key) override {
    RETURN_IF_ERROR(CheckKeys(key, {}));
    const berth_call raw_call = AbiCall(call);
    return instance_->Invoke("remove", instance_->table().remove, &raw_call, AbiStr(key));
  }

  absl::StatusOr<SnapshotInfo> Stat(const Call& call, const std::string& key) override {
    RETURN_IF_ERROR(CheckKeys(key, {}));
    const berth_call raw_call = AbiCall(call);
    InfoDelivery delivery;
    const berth_snapshot_info_sink sink = delivery.sink();
    RETURN_IF_ERROR(delivery.Check(instance_->who(),
                                   instance_->Invoke("stat", instance_->table().stat, &raw_call, AbiStr(key), &sink)));
    if (delivery.infos[0].key != key) return Nonsense(key, "another snapshot");
    return delivery.infos[0];
  }

  absl::StatusOr<SnapshotUsage> Usage(const Call& call, const std::string& key) override {
    RETURN_IF_ERROR(CheckKeys(key, {}));
    const berth_call raw_call = AbiCall(call);
    berth_snapshot_usage usage{};
    usage.struct_size = sizeof(usage);
    RETURN_IF_ERROR(instance_->Invoke("usage", instance_->table().usage, &raw_call, AbiStr(key), &usage));
    return SnapshotUsage{usage.bytes, usage.inodes, usage.fingerprint};
  }

  absl::Status Walk(const Call& call, const std::function<void(const SnapshotInfo&)>& visit) override {
    const berth_call raw_call = AbiCall(call);
    InfoDelivery delivery;
    const berth_snapshot_info_sink sink = delivery.sink();
    RETURN_IF_ERROR(
        delivery.CheckEach(instance_->who(), instance_->Invoke("walk", instance_->table().walk, &raw_call, &sink)));
    // Not from the sink: what `visit` throws or calls must not meet the plugin's frames and locks.
    for (const SnapshotInfo& info : delivery.infos) visit(info);
    return absl::OkStatus();
  }

  absl::Status Cleanup(const Call& call) override {
    if (instance_->table().cleanup == nullptr) return absl::OkStatus();
    const berth_call raw_call = AbiCall(call);
    return instance_->Invoke("cleanup", instance_->table().cleanup, &raw_call);
  }

 private:
  // *answered_ok: what the plugin said, whether or not its result is sound.
  template <class Function>
  absl::StatusOr<PreparedSnapshot> Deliver(const char* name, Function function, const Call& call,
                                           const SnapshotRequest& request, bool* answered_ok) {
    const AbiRequest raw(request);
    const berth_call raw_call = AbiCall(call);
    PreparedDelivery delivery;
    const berth_prepared_sink sink = delivery.sink();
    const absl::Status status = instance_->Invoke(name, function, &raw_call, raw.get(), &sink);
    if (answered_ok != nullptr) *answered_ok = status.ok();
    RETURN_IF_ERROR(delivery.Check(instance_->who(), status));
    return std::move(delivery.prepared);
  }

  absl::Status Nonsense(const std::string& key, const char* what) const {
    return absl::InternalError(
        absl::StrCat(instance_->who(), ": the plugin answered nonsense for snapshot ", key, ": ", what));
  }

  const std::unique_ptr<Instance> instance_;
  const uint64_t capabilities_;
  const std::string root_;
};

std::vector<PluginFunction> Required(const berth_snapshotter& t) {
  return {{"root", t.root != nullptr},     {"prepare", t.prepare != nullptr}, {"mounts", t.mounts != nullptr},
          {"commit", t.commit != nullptr}, {"remove", t.remove != nullptr},   {"stat", t.stat != nullptr},
          {"walk", t.walk != nullptr}};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Snapshotter>> AdaptSnapshotter(const void* table, std::unique_ptr<PluginHost> host,
                                                              std::shared_ptr<std::mutex> starting) {
  ASSIGN_OR_RETURN(auto instance,
                   PluginInstance<berth_snapshotter>::Create(table, std::move(host), std::move(starting), &Required));
  return Adapter::Make(std::move(instance));
}

}  // namespace berth
