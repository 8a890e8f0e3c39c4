// Pins, and the removal of images and layers that nobody needs.
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/image/images.h"
#include "core/image/images_state.h"

namespace berth {

absl::StatusOr<ImagePtr> Images::Pin(absl::string_view owner, absl::string_view image) {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  ImagePtr found = state_->table.Find(image);
  if (found == nullptr) found = state_->table.FindById(std::string(image));
  if (found == nullptr || state_->dropping.count(found->id) != 0)
    return absl::NotFoundError(absl::StrCat("image ", image, " is not on this node"));
  state_->table.Pin(owner, found->id);
  return found;
}

void Images::Unpin(absl::string_view owner) {
  std::vector<std::string> unowned;
  {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    const std::set<std::string> released = state_->table.Unpin(owner);
    for (const std::string& id : state_->table.Unowned()) {
      if (released.count(id) != 0) unowned.push_back(id);
    }
  }
  for (const std::string& id : unowned) {
    if (absl::Status status = state_->Forget(Call(), id); !status.ok())
      LogWarn("a removed image stays until the next start", {{"id", id}, {"error", status.ToString()}});
  }
}

absl::Status Images::Remove(const Call& call, absl::string_view image) {
  const ImagePtr found = Status(image);
  if (found == nullptr) return absl::OkStatus();
  return Annotate(state_->Forget(call, found->id), absl::StrCat("remove image ", image));
}

// Removes the image's record, or hides it while it is pinned; then the layers that nobody needs.
absl::Status Images::State::Forget(const Call& call, const std::string& id) {
  std::vector<state::v1::Layer> free;
  bool again = false;
  {
    const std::lock_guard<std::mutex> writing(write_mutex);
    std::optional<state::v1::Image> row;
    bool pinned = false;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      row = table.Row(id);
      pinned = table.IsPinned(id);
      if (!row || (row->removed() && pinned)) return absl::OkStatus();
      if (!pinned) dropping.insert(id);
    }
    if (pinned) {
      RETURN_IF_ERROR(HidePinned(*row));
    } else {
      auto dropped = DropUnpinned(*row);
      const std::lock_guard<std::mutex> lock(mutex);
      dropping.erase(id);
      if (!dropped.ok()) return dropped.status();
      table.Drop(id);
      free = *std::move(dropped);
    }
    const std::lock_guard<std::mutex> lock(mutex);
    again = pinned && !table.IsPinned(id);  // the last pin went in between, and left the rest to us
    if (!row->removed()) Publish(EventType::kDeleted, id);
  }
  RemoveSnapshots(call, free);
  return again ? Forget(call, id) : absl::OkStatus();
}

absl::Status Images::State::HidePinned(state::v1::Image row) {
  row.set_removed(true);
  row.clear_tags();
  row.clear_digests();
  RETURN_IF_ERROR(options.store->Commit(Transaction().Put(Table::kImages, row.id(), row), Durability::kDurable));
  const std::lock_guard<std::mutex> lock(mutex);
  table.Put(row);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<state::v1::Layer>> Images::State::DropUnpinned(const state::v1::Image& row) {
  const std::vector<std::string> snapshotters = KnownSnapshottersOf(row);
  for (const std::string& name : snapshotters) layers.at(name).RemoveImage(ChainIdsOf(row));
  std::vector<state::v1::Layer> free = TakeFree();
  Transaction change = RemovalOf(free);
  change.Delete(Table::kImages, row.id());
  absl::Status committed = Failpoint("image.remove.record");
  if (committed.ok()) committed = options.store->Commit(change, Durability::kDurable);
  if (committed.ok()) {
    ForgetLayers(free);
    return free;
  }
  RestoreLayers(free);
  for (const std::string& name : snapshotters) layers.at(name).AddImage(ChainIdsOf(row));
  return committed;
}

std::vector<state::v1::Layer> Images::State::TakeFree() {
  std::vector<state::v1::Layer> free;
  for (auto& [name, table_of] : layers) {
    std::vector<state::v1::Layer> some = table_of.TakeFree();
    std::move(some.begin(), some.end(), std::back_inserter(free));
  }
  return free;
}

void Images::State::ForgetLayers(const std::vector<state::v1::Layer>& free) {
  for (const auto& layer : free) layers.at(layer.snapshotter()).Forget(layer.chain_id());
}

void Images::State::RestoreLayers(const std::vector<state::v1::Layer>& free) {
  for (const auto& layer : free) layers.at(layer.snapshotter()).Restore(layer.chain_id());
}

// The layers' rows go, and an intent for each tree stays until that is gone, too.
Transaction Images::State::RemovalOf(const std::vector<state::v1::Layer>& free) const {
  Transaction change;
  for (const auto& layer : free) {
    state::v1::Intent intent;
    intent.set_kind(state::v1::Intent::REMOVE_SNAPSHOT);
    intent.set_target(layer.snapshot_key());
    intent.set_created_at(UnixNanos());
    intent.set_snapshotter(layer.snapshotter());
    change.Delete(Table::kLayers, LayerRowKey(layer));
    change.Put(Table::kIntents, IntentRowKey(intent.kind(), intent.target()), intent);
  }
  return change;
}

void Images::State::RemoveSnapshots(const Call& call, const std::vector<state::v1::Layer>& free) {
  if (free.empty()) return;
  Transaction done;
  for (const auto& layer : free) {
    const std::string& key = layer.snapshot_key();
    absl::Status removed = Failpoint("image.remove.snapshot");
    if (removed.ok()) removed = options.snapshotters.at(layer.snapshotter())->Remove(call, key);
    if (!removed.ok() && !absl::IsNotFound(removed)) {
      LogWarn("a layer stays on disk until the next start", {{"snapshot", key}, {"error", removed.ToString()}});
      continue;
    }
    done.Delete(Table::kIntents, IntentRowKey(state::v1::Intent::REMOVE_SNAPSHOT, key));
    done.Delete(Table::kIntents, IntentRowKey(state::v1::Intent::UNPACK_LAYER, key));
  }
  // An intent that stays costs one look at the next start.
  if (absl::Status status = options.store->Commit(done, Durability::kVolatile); !status.ok())
    LogWarn("delete intents of removed layers", {{"error", status.ToString()}});
  std::set<std::string> touched;
  for (const auto& layer : free) touched.insert(layer.snapshotter());
  for (const std::string& name : touched) {
    absl::Status status = Failpoint("image.remove.cleanup");
    if (status.ok()) status = options.snapshotters.at(name)->Cleanup(call);
    if (!status.ok())
      LogWarn("free the space of removed layers", {{"snapshotter", name}, {"error", status.ToString()}});
  }
}

void Images::State::FreeLayers(const Call& call) {
  std::vector<state::v1::Layer> free;
  {
    const std::lock_guard<std::mutex> writing(write_mutex);
    free = TakeFree();
    if (free.empty()) return;
    if (absl::Status status = options.store->Commit(RemovalOf(free), Durability::kDurable); !status.ok()) {
      LogWarn("remove unused layers", {{"error", status.ToString()}});
      RestoreLayers(free);
      return;
    }
    ForgetLayers(free);
  }
  RemoveSnapshots(call, free);
}

}  // namespace berth
