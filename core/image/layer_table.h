// Which layers there are, by chain id, and who uses them: images by count, pulls by lease. A layer that two pulls need
// is unpacked by one of them; the other waits.
#ifndef BERTH_CORE_IMAGE_LAYER_TABLE_H_
#define BERTH_CORE_IMAGE_LAYER_TABLE_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/berth/state/v1/state.pb.h"

namespace berth {

// Thread-safe; nothing blocks.
class LayerTable {
 public:
  // A layer of the store, committed.
  void Load(const state::v1::Layer& row);

  enum class Claim {
    kReady,  // committed; leased to the caller
    kMine,   // the caller unpacks it, then calls Commit or Abandon; leased to the caller by Commit
    kBusy,   // another one does, or it is going; an event descriptor of Watch tells when to ask again
  };
  Claim Acquire(const std::string& chain_id);
  void Commit(const state::v1::Layer& row);
  void Abandon(const std::string& chain_id);
  void Release(const std::string& chain_id);

  // `event_fd` is written to at each Commit, Abandon, Forget and Restore, until Unwatch.
  void Watch(int event_fd);
  void Unwatch(int event_fd);

  // An image with these layers has come, or gone.
  void AddImage(const std::vector<std::string>& chain_ids);
  void RemoveImage(const std::vector<std::string>& chain_ids);

  // The layers that neither an image nor a lease holds, children before their parents. They are not there any more, but
  // kBusy, until each is forgotten or restored: whether their removal is recorded has yet to be seen.
  std::vector<state::v1::Layer> TakeFree();
  void Forget(const std::string& chain_id);
  void Restore(const std::string& chain_id);

  bool Has(const std::string& chain_id) const;
  // kNotFound when one of them is no committed layer.
  absl::StatusOr<std::vector<state::v1::Layer>> Rows(const std::vector<std::string>& chain_ids) const;
  std::set<std::string> Keys() const;
  // Of `chain_ids`, the committed layers that were last known to be whole in another boot than `boot_id`.
  std::vector<state::v1::Layer> UnknownSince(const std::string& boot_id,
                                             const std::vector<std::string>& chain_ids) const;
  // There is this layer still, in the same tree.
  bool Holds(const state::v1::Layer& row) const;
  // Of one that it holds.
  void Update(const state::v1::Layer& row);
  // Takes out the layers whose keys are not in `keys`; answers their chain ids.
  std::vector<std::string> DropMissing(const std::set<std::string>& keys);

  struct Usage {
    uint64_t bytes = 0, inodes = 0;
  };
  Usage Total() const;

 private:
  struct Layer {
    state::v1::Layer row;
    bool committed = false;  // false: being unpacked, or going
    bool going = false;      // taken by TakeFree
    uint32_t images = 0, leases = 0;
  };
  void WakeLocked();

  mutable std::mutex mutex_;
  std::map<std::string, Layer> layers_;  // by chain id
  std::set<int> watchers_;
};

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_LAYER_TABLE_H_
