#include "core/image/images.h"

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
        if (row.snapshotter() == state->options.snapshotter_name) state->layers.Load(row);
        return absl::OkStatus();
      }));
  RETURN_IF_ERROR(
      state->options.store->ForEach(Table::kImages, [&](absl::string_view key, absl::string_view data) -> absl::Status {
        state::v1::Image row;
        if (!row.ParseFromArray(data.data(), static_cast<int>(data.size())))
          return absl::DataLossError(absl::StrCat("the record of image ", key, " is damaged"));
        if (row.snapshotter() != state->options.snapshotter_name) return absl::OkStatus();
        state->layers.AddImage(ChainIdsOf(row));
        state->table.Put(row);
        return absl::OkStatus();
      }));
  return std::unique_ptr<Images>(new Images(std::move(state)));
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

absl::StatusOr<std::vector<std::string>> Images::ChainKeys(absl::string_view image_id) const {
  ImagePtr image;
  {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    image = state_->table.FindById(std::string(image_id));
  }
  if (image == nullptr) return absl::NotFoundError(absl::StrCat("image ", image_id, " is not on this node"));
  ASSIGN_OR_RETURN(const auto rows, state_->layers.Rows(image->chain_ids));
  std::vector<std::string> keys;
  for (auto row = rows.rbegin(); row != rows.rend(); ++row) keys.push_back(row->snapshot_key());
  return keys;
}

ImageFsUsage Images::FsInfo() const {
  const LayerTable::Usage total = state_->layers.Total();
  ImageFsUsage usage;
  usage.mountpoint = state_->options.snapshotter->root();
  usage.bytes = total.bytes;
  usage.inodes = total.inodes;
  usage.at_unix_ns = UnixNanos();
  return usage;
}

}  // namespace berth
