// Images::Recover: records and trees agree again after whatever has happened.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/image/images.h"
#include "core/image/images_state.h"

namespace berth {

absl::Status Images::Recover(const Call& call, const std::set<std::string>& container_keys) {
  for (const auto& [name, snapshotter] : state_->options.snapshotters) {
    std::set<std::string> existing;
    const auto add = [&](const SnapshotInfo& info) {
      if (info.state == SnapshotState::kCommitted) existing.insert(info.key);
    };
    RETURN_IF_ERROR(Annotate(snapshotter->Walk(call, add), absl::StrCat("list the snapshots of ", name)));
    RETURN_IF_ERROR(state_->DropMissing(name, existing));
  }
  std::vector<std::string> unowned;
  {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    unowned = state_->table.Unowned();
  }
  for (const std::string& id : unowned) RETURN_IF_ERROR(state_->Forget(call, id));
  state_->FreeLayers(call);
  for (const auto& [name, snapshotter] : state_->options.snapshotters) {
    RETURN_IF_ERROR(state_->Sweep(call, name, container_keys));
  }
  state_->pulls.Add([state = state_.get()] { state->CheckAllLayers(); });
  return absl::OkStatus();
}

// Records whose trees are gone: the disk was changed behind our back, or a power cut has taken what was promised to
// stay.
absl::Status Images::State::DropMissing(const std::string& snapshotter, const std::set<std::string>& existing) {
  const std::lock_guard<std::mutex> writing(write_mutex);
  const std::vector<std::string> missing = layers.at(snapshotter).DropMissing(existing);
  if (missing.empty()) return absl::OkStatus();
  Transaction change;
  for (const std::string& chain_id : missing) {
    LogWarn("the files of a layer are gone; its images have to be pulled again",
            {{"layer", chain_id}, {"snapshotter", snapshotter}});
    change.Delete(Table::kLayers, absl::StrCat(snapshotter, " ", chain_id));
  }
  return DropImagesWith({missing.begin(), missing.end()}, snapshotter, std::move(change));
}

// Better no image than one with holes; the kubelet pulls it again. What another snapshotter has of it stays.
absl::Status Images::State::DropImagesWith(const std::set<std::string>& lost, const std::string& snapshotter,
                                           Transaction change) {
  LayerTable& its_layers = layers.at(snapshotter);
  std::vector<state::v1::Image> broken;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    for (const std::string& id : table.Ids()) {
      auto row = table.Row(id);
      std::vector<std::string> snapshotters = SnapshottersOf(*row);
      const auto mine = std::find(snapshotters.begin(), snapshotters.end(), snapshotter);
      const std::vector<std::string> chain_ids = ChainIdsOf(*row);
      const bool whole = std::all_of(chain_ids.begin(), chain_ids.end(), [&](const std::string& chain_id) {
        return lost.count(chain_id) == 0 && its_layers.Has(chain_id);
      });
      if (whole || mine == snapshotters.end()) continue;
      snapshotters.erase(mine);
      row->mutable_snapshotters()->Assign(snapshotters.begin(), snapshotters.end());
      row->clear_snapshotter();
      broken.push_back(*std::move(row));
    }
  }
  for (const auto& row : broken) {
    if (row.snapshotters().empty()) {
      change.Delete(Table::kImages, row.id());
    } else {
      change.Put(Table::kImages, row.id(), row);
    }
  }
  RETURN_IF_ERROR(options.store->Commit(change, Durability::kDurable));
  const std::lock_guard<std::mutex> lock(mutex);
  for (const auto& row : broken) {
    its_layers.RemoveImage(ChainIdsOf(row));
    if (!row.snapshotters().empty()) {
      table.Put(row);
      continue;
    }
    LogWarn("an image is forgotten because layers of it are damaged or gone; the next pull brings it back",
            {{"id", row.id()}});
    table.Drop(row.id());
    if (!row.removed()) Publish(EventType::kDeleted, row.id());
  }
  return absl::OkStatus();
}

// What no record owns: half-made layers, and those whose removal a crash has interrupted.
absl::Status Images::State::Sweep(const Call& call, const std::string& name,
                                  const std::set<std::string>& container_keys) {
  Snapshotter* const snapshotter = options.snapshotters.at(name);
  const std::set<std::string> ours = layers.at(name).Keys();
  std::vector<std::string> strays;
  RETURN_IF_ERROR(snapshotter->Walk(call, [&](const SnapshotInfo& info) {
    if (ours.count(info.key) == 0 && container_keys.count(info.key) == 0) strays.push_back(info.key);
  }));
  // A snapshotter may refuse to remove a parent before its children: go round until nothing moves.
  for (bool moved = true; moved && !strays.empty();) {
    std::vector<std::string> left;
    for (const std::string& key : strays) {
      absl::Status removed = Failpoint("image.recover.remove");
      if (removed.ok()) removed = snapshotter->Remove(call, key);
      if (removed.ok() || absl::IsNotFound(removed)) continue;
      LogWarn("remove a snapshot that no record owns", {{"snapshot", key}, {"error", removed.ToString()}});
      left.push_back(key);
    }
    moved = left.size() < strays.size();
    strays = std::move(left);
  }
  Transaction done;
  RETURN_IF_ERROR(options.store->ForEach(Table::kIntents, [&](absl::string_view key, absl::string_view data) {
    state::v1::Intent intent;
    const bool mine =
        intent.ParseFromArray(data.data(), static_cast<int>(data.size())) && intent.snapshotter() == name &&
        (intent.kind() == state::v1::Intent::UNPACK_LAYER || intent.kind() == state::v1::Intent::REMOVE_SNAPSHOT);
    if (mine && std::find(strays.begin(), strays.end(), intent.target()) == strays.end())
      done.Delete(Table::kIntents, key);
    return absl::OkStatus();
  }));
  if (!done.empty()) RETURN_IF_ERROR(options.store->Commit(done, Durability::kVolatile));
  // What was removed may be large, and nobody has to wait until its space is free.
  pulls.Add([snapshotter, name] {
    absl::Status cleaned = Failpoint("image.recover.cleanup");
    if (cleaned.ok()) cleaned = snapshotter->Cleanup(Call());
    if (!cleaned.ok()) {
      LogWarn("free the space of removed snapshots; the next removal tries again",
              {{"snapshotter", name}, {"error", cleaned.ToString()}});
    }
  });
  return absl::OkStatus();
}

}  // namespace berth
