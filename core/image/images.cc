#include "core/image/images.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/image/images_state.h"

namespace berth {

Images::Images(std::unique_ptr<State> state) : state_(std::move(state)) {}

Images::~Images() {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->closing = true;
  SignalEvent(state_->stop_checking.get());
  for (const auto& [key, flight] : state_->flights) SignalEvent(flight->cancel.get());
}

absl::StatusOr<std::unique_ptr<Images>> Images::Open(ImagesOptions options) {
  std::set<std::string> pinned;
  for (const std::string& name : options.pinned) {
    ASSIGN_OR_RETURN(const ImageReference reference, ParseImageReference(name));
    pinned.insert(reference.Normalised());
  }
  auto state = std::make_unique<State>(std::move(options), std::move(pinned));
  RETURN_IF_ERROR(
      state->options.store->ForEach(Table::kLayers, [&](absl::string_view key, absl::string_view data) -> absl::Status {
        state::v1::Layer row;
        if (!row.ParseFromArray(data.data(), static_cast<int>(data.size())))
          return absl::DataLossError(absl::StrCat("the record of layer ", key, " is damaged"));
        if (const auto known = state->layers.find(row.snapshotter()); known != state->layers.end()) {
          known->second.Load(row);
        }
        return absl::OkStatus();
      }));
  RETURN_IF_ERROR(
      state->options.store->ForEach(Table::kImages, [&](absl::string_view key, absl::string_view data) -> absl::Status {
        state::v1::Image row;
        if (!row.ParseFromArray(data.data(), static_cast<int>(data.size())))
          return absl::DataLossError(absl::StrCat("the record of image ", key, " is damaged"));
        const std::vector<std::string> snapshotters = state->KnownSnapshottersOf(row);
        if (snapshotters.empty()) return absl::OkStatus();
        for (const std::string& name : snapshotters) state->layers[name].AddImage(ChainIdsOf(row));
        state->table.Put(row);
        return absl::OkStatus();
      }));
  return std::unique_ptr<Images>(new Images(std::move(state)));
}

std::vector<std::string> Images::State::KnownSnapshottersOf(const state::v1::Image& row) const {
  std::vector<std::string> names = SnapshottersOf(row);
  std::erase_if(names, [this](const std::string& name) { return layers.count(name) == 0; });
  return names;
}

void Images::State::Publish(EventType type, const std::string& id) {
  if (options.bus == nullptr) return;
  Event event;
  event.at_unix_ns = UnixNanos();
  event.topic = Topic::kImage;
  event.type = type;
  event.id = id;
  options.bus->Publish(std::move(event));
}

std::vector<ImagePtr> Images::List(absl::string_view filter) const {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  if (filter.empty()) return state_->table.All();
  ImagePtr image = state_->table.Find(filter);
  if (image == nullptr) return {};
  return {std::move(image)};
}

ImagePtr Images::Status(absl::string_view image) const {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->table.Find(image);
}

absl::StatusOr<std::vector<std::string>> Images::ChainKeys(absl::string_view image_id,
                                                           const std::string& snapshotter) const {
  ImagePtr image;
  {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    image = state_->table.FindById(std::string(image_id));
  }
  if (image == nullptr) return absl::NotFoundError(absl::StrCat("image ", image_id, " is not on this node"));
  const auto layers = state_->layers.find(snapshotter);
  if (layers == state_->layers.end() ||
      std::find(image->snapshotters.begin(), image->snapshotters.end(), snapshotter) == image->snapshotters.end()) {
    return absl::FailedPreconditionError(
        absl::StrCat("image ", image_id, " is not unpacked for snapshotter ", snapshotter, "; pull it again"));
  }
  RETURN_IF_ERROR(state_->CheckLayers(Call(), snapshotter, image->chain_ids));
  const auto rows = layers->second.Rows(image->chain_ids);
  if (!rows.ok()) return Annotate(rows.status(), absl::StrCat("image ", image_id, " has to be pulled again"));
  std::vector<std::string> keys;
  for (auto row = rows->rbegin(); row != rows->rend(); ++row) keys.push_back(row->snapshot_key());
  return keys;
}

std::vector<ImageFsUsage> Images::FsInfo() const {
  std::vector<ImageFsUsage> usages;
  for (const auto& [name, layers] : state_->layers) {
    const LayerTable::Usage total = layers.Total();
    usages.push_back({state_->options.snapshotters.at(name)->root(), total.bytes, total.inodes, UnixNanos()});
  }
  return usages;
}

}  // namespace berth
