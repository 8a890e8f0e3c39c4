// Layers that have lost files.
//
// A layer's tree is synced before its row is committed, and its row is gone before the tree is removed: with a disk
// that keeps what it says it has kept, a power cut damages no layer that has a row. Disks lie, though, and the repair
// of a file system removes what it cannot read. So each row says in which boot its tree was last known to be whole, and
// in a later one the tree is walked once and compared with the row: by a task behind the start, unless a pull that
// would build on the layer or a container that would be made of it comes first. A start in the same boot looks at
// nothing.
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/image/images_state.h"

namespace berth {
namespace {

// A number that is not known is no difference.
bool Agree(uint64_t recorded, uint64_t found) { return recorded == 0 || found == 0 || recorded == found; }

bool IsWhole(const state::v1::Layer& row, const SnapshotUsage& usage) {
  return Agree(row.inodes(), usage.inodes) && Agree(row.fingerprint(), usage.fingerprint);
}

}  // namespace

absl::Status Images::State::CheckLayers(const Call& call, const std::string& snapshotter,
                                        const std::vector<std::string>& chain_ids) {
  std::vector<state::v1::Layer> whole, damaged;
  for (state::v1::Layer& row : layers.at(snapshotter).UnknownSince(options.boot_id, chain_ids)) {
    // An older Berth did not say when that was: perhaps in this boot, and containers run on it.
    if (!row.boot_id().empty()) {
      const auto usage = options.snapshotters.at(snapshotter)->Usage(call, row.snapshot_key());
      if (!usage.ok() && !absl::IsNotFound(usage.status()) && !absl::IsDataLoss(usage.status())) {
        return Annotate(usage.status(), absl::StrCat("look whether layer ", row.chain_id(), " is whole"));
      }
      if (!usage.ok() || !IsWhole(row, *usage)) {
        damaged.push_back(std::move(row));
        continue;
      }
      if (row.fingerprint() == 0) row.set_fingerprint(usage->fingerprint);
    }
    row.set_boot_id(options.boot_id);
    whole.push_back(std::move(row));
  }
  if (!whole.empty()) RETURN_IF_ERROR(NoteWhole(snapshotter, whole));
  return damaged.empty() ? absl::OkStatus() : DropDamaged(snapshotter, damaged);
}

// Volatile: after a power cut they are looked at again anyway.
absl::Status Images::State::NoteWhole(const std::string& snapshotter, const std::vector<state::v1::Layer>& rows) {
  LayerTable& its_layers = layers.at(snapshotter);
  const std::lock_guard<std::mutex> writing(write_mutex);
  Transaction change;
  for (const state::v1::Layer& row : rows) {
    if (!its_layers.Holds(row)) continue;
    its_layers.Update(row);
    change.Put(Table::kLayers, LayerRowKey(row), row);
  }
  return options.store->Commit(change, Durability::kVolatile);
}

// Nothing runs on these layers: it would have been made in this boot, after they were looked at.
absl::Status Images::State::DropDamaged(const std::string& snapshotter, const std::vector<state::v1::Layer>& rows) {
  LayerTable& its_layers = layers.at(snapshotter);
  {
    const std::lock_guard<std::mutex> writing(write_mutex);
    std::set<std::string> lost;
    for (const state::v1::Layer& row : rows) {
      if (!its_layers.Holds(row)) continue;  // removed while it was looked at
      LogWarn("a layer has lost files, as in a power cut; its images have to be pulled again",
              {{"layer", row.chain_id()}, {"snapshotter", snapshotter}, {"snapshot", row.snapshot_key()}});
      lost.insert(row.chain_id());
    }
    if (!lost.empty()) RETURN_IF_ERROR(DropImagesWith(lost, snapshotter, Transaction()));
  }
  FreeLayers(Call());
  for (const state::v1::Layer& row : rows) {
    if (!its_layers.Holds(row)) continue;
    return absl::InternalError(absl::StrCat("layer ", row.chain_id(), " has lost files and could not be removed"));
  }
  return absl::OkStatus();
}

void Images::State::CheckAllLayers() {
  Call call;
  call.cancel_fd = stop_checking.get();
  std::vector<std::string> ids;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    ids = table.Ids();
  }
  for (const std::string& id : ids) {
    ImagePtr image;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      if (closing) return;
      image = table.FindById(id);
    }
    if (image == nullptr) continue;
    for (const std::string& snapshotter : image->snapshotters) {
      if (layers.count(snapshotter) == 0) continue;
      const absl::Status checked = CheckLayers(call, snapshotter, image->chain_ids);
      if (absl::IsCancelled(checked)) return;
      if (!checked.ok()) {
        LogWarn("look whether an image is whole after a boot; that is done again before it is used",
                {{"id", id}, {"error", checked.ToString()}});
      }
    }
  }
}

}  // namespace berth
