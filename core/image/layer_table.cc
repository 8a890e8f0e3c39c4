#include "core/image/layer_table.h"

#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace berth {

void LayerTable::Load(const state::v1::Layer& row) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Layer& layer = layers_[row.chain_id()];
  layer.row = row;
  layer.committed = true;
}

LayerTable::Claim LayerTable::Acquire(const std::string& chain_id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto [it, added] = layers_.try_emplace(chain_id);
  if (added) return Claim::kMine;
  if (!it->second.committed) return Claim::kBusy;
  ++it->second.leases;
  return Claim::kReady;
}

void LayerTable::Commit(const state::v1::Layer& row) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Layer& layer = layers_[row.chain_id()];
  layer.row = row;
  layer.committed = true;
  ++layer.leases;
  WakeLocked();
}

void LayerTable::Abandon(const std::string& chain_id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  layers_.erase(chain_id);
  WakeLocked();
}

void LayerTable::Release(const std::string& chain_id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (auto it = layers_.find(chain_id); it != layers_.end() && it->second.leases > 0) --it->second.leases;
}

void LayerTable::Watch(int event_fd) {
  const std::lock_guard<std::mutex> lock(mutex_);
  watchers_.insert(event_fd);
}

void LayerTable::Unwatch(int event_fd) {
  const std::lock_guard<std::mutex> lock(mutex_);
  watchers_.erase(event_fd);
}

void LayerTable::WakeLocked() {
  const uint64_t one = 1;
  for (int fd : watchers_) (void)!write(fd, &one, sizeof(one));
}

void LayerTable::AddImage(const std::vector<std::string>& chain_ids) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const std::string& chain_id : chain_ids) {
    if (auto it = layers_.find(chain_id); it != layers_.end()) ++it->second.images;
  }
}

void LayerTable::RemoveImage(const std::vector<std::string>& chain_ids) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const std::string& chain_id : chain_ids) {
    if (auto it = layers_.find(chain_id); it != layers_.end() && it->second.images > 0) --it->second.images;
  }
}

std::vector<state::v1::Layer> LayerTable::TakeFree() {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::map<std::string, state::v1::Layer> free;
  for (auto& [chain_id, layer] : layers_) {
    if (!layer.committed || layer.images != 0 || layer.leases != 0) continue;
    free.emplace(chain_id, layer.row);
    layer.committed = false;
    layer.going = true;
  }
  // Depth first: a layer goes after all that have it as parent.
  const auto depth = [&free](const std::string& chain_id) {
    int n = 0;
    for (auto it = free.find(chain_id); it != free.end(); it = free.find(it->second.parent_chain_id())) ++n;
    return n;
  };
  std::vector<std::pair<int, std::string>> order;
  order.reserve(free.size());
  for (const auto& [chain_id, row] : free) order.emplace_back(-depth(chain_id), chain_id);
  std::sort(order.begin(), order.end());
  std::vector<state::v1::Layer> rows;
  rows.reserve(order.size());
  for (const auto& [unused, chain_id] : order) rows.push_back(std::move(free[chain_id]));
  return rows;
}

void LayerTable::Forget(const std::string& chain_id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (const auto it = layers_.find(chain_id); it != layers_.end() && it->second.going) layers_.erase(it);
  WakeLocked();
}

void LayerTable::Restore(const std::string& chain_id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (const auto it = layers_.find(chain_id); it != layers_.end() && it->second.going) {
    it->second.going = false;
    it->second.committed = true;
  }
  WakeLocked();
}

bool LayerTable::Has(const std::string& chain_id) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto it = layers_.find(chain_id);
  return it != layers_.end() && it->second.committed;
}

absl::StatusOr<std::vector<state::v1::Layer>> LayerTable::Rows(const std::vector<std::string>& chain_ids) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<state::v1::Layer> rows;
  for (const std::string& chain_id : chain_ids) {
    const auto it = layers_.find(chain_id);
    if (it == layers_.end() || !it->second.committed)
      return absl::NotFoundError(absl::StrCat("layer ", chain_id, " is not on this node"));
    rows.push_back(it->second.row);
  }
  return rows;
}

std::set<std::string> LayerTable::Keys() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::set<std::string> keys;
  for (const auto& [chain_id, layer] : layers_) {
    if (layer.committed) keys.insert(layer.row.snapshot_key());
  }
  return keys;
}

std::vector<state::v1::Layer> LayerTable::UnknownSince(const std::string& boot_id,
                                                       const std::vector<std::string>& chain_ids) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<state::v1::Layer> rows;
  for (const std::string& chain_id : chain_ids) {
    const auto it = layers_.find(chain_id);
    if (it == layers_.end() || !it->second.committed || it->second.row.boot_id() == boot_id) continue;
    rows.push_back(it->second.row);
  }
  return rows;
}

bool LayerTable::Holds(const state::v1::Layer& row) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto it = layers_.find(row.chain_id());
  return it != layers_.end() && it->second.committed && it->second.row.snapshot_key() == row.snapshot_key();
}

void LayerTable::Update(const state::v1::Layer& row) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (const auto it = layers_.find(row.chain_id()); it != layers_.end()) it->second.row = row;
}

std::vector<std::string> LayerTable::DropMissing(const std::set<std::string>& keys) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<std::string> missing;
  for (auto it = layers_.begin(); it != layers_.end();) {
    if (it->second.committed && keys.count(it->second.row.snapshot_key()) == 0) {
      missing.push_back(it->first);
      it = layers_.erase(it);
    } else {
      ++it;
    }
  }
  return missing;
}

LayerTable::Usage LayerTable::Total() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  Usage usage;
  for (const auto& [chain_id, layer] : layers_) {
    if (!layer.committed) continue;
    usage.bytes += layer.row.bytes();
    usage.inodes += layer.row.inodes();
  }
  return usage;
}

}  // namespace berth
