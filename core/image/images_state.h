// What Images is made of. Only its own sources include this.
#ifndef BERTH_CORE_IMAGE_IMAGES_STATE_H_
#define BERTH_CORE_IMAGE_IMAGES_STATE_H_

#include <sys/eventfd.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/unique_fd.h"
#include "core/base/work_queue.h"
#include "core/image/image_table.h"
#include "core/image/images.h"
#include "core/image/layer_table.h"
#include "core/image/pull_operation.h"
#include "core/image/reference.h"

namespace berth {

inline constexpr size_t kMaxPulls = 16;  // at a time; more of them wait

inline std::string LayerRowKey(const state::v1::Layer& layer) {
  return absl::StrCat(layer.snapshotter(), " ", layer.chain_id());
}

inline std::vector<std::string> ChainIdsOf(const state::v1::Image& row) {
  return {row.chain_ids().begin(), row.chain_ids().end()};
}

inline std::vector<std::string> SnapshottersOf(const state::v1::Image& row) {
  if (row.snapshotters().empty()) return {row.snapshotter()};
  return {row.snapshotters().begin(), row.snapshotters().end()};
}

inline void SignalEvent(int event_fd) {
  const uint64_t one = 1;
  (void)!write(event_fd, &one, sizeof(one));
}

struct Images::State {
  explicit State(ImagesOptions o, std::set<std::string> pinned) : options(std::move(o)), table(std::move(pinned)) {
    for (const auto& [name, snapshotter] : options.snapshotters) layers[name];
  }

  // Calls of Pull that share one operation.
  struct Flight {
    explicit Flight(std::string k) : key(std::move(k)) {}
    const std::string key;  // in `flights`. Holds secrets: never logged.
    UniqueFd done{eventfd(0, EFD_CLOEXEC)}, cancel{eventfd(0, EFD_CLOEXEC)};
    int waiters = 0;  // guarded by mutex, like the rest
    bool finished = false;
    absl::StatusOr<std::string> result = absl::UnknownError("unfinished");
  };

  absl::StatusOr<std::string> RunPull(const ImageReference& reference, const ImagePullRequest& request,
                                      const Flight& flight);
  absl::StatusOr<std::string> PullForEach(const ImageReference& reference, const ImagePullRequest& request,
                                          const Flight& flight, const Call& call);
  absl::StatusOr<std::string> Record(const ImageReference& reference, const std::vector<PullOperation::Result>& pulled,
                                     const Flight& flight);
  // Under `mutex`: no call joins it any more.
  void CloseFlight(const Flight& flight);
  // Of those that are configured now.
  std::vector<std::string> KnownSnapshottersOf(const state::v1::Image& row) const;
  absl::Status Forget(const Call& call, const std::string& id);
  absl::Status HidePinned(state::v1::Image row);
  absl::StatusOr<std::vector<state::v1::Layer>> DropUnpinned(const state::v1::Image& row);
  Transaction RemovalOf(const std::vector<state::v1::Layer>& free) const;
  // As of LayerTable, over all snapshotters.
  std::vector<state::v1::Layer> TakeFree();
  void ForgetLayers(const std::vector<state::v1::Layer>& free);
  void RestoreLayers(const std::vector<state::v1::Layer>& free);
  void RemoveSnapshots(const Call& call, const std::vector<state::v1::Layer>& layers);
  void FreeLayers(const Call& call);
  absl::Status DropMissing(const std::string& snapshotter, const std::set<std::string>& existing);
  // Under write_mutex. `change` is committed with it, durably.
  absl::Status DropImagesWith(const std::set<std::string>& lost, const std::string& snapshotter, Transaction change);
  // Looks at those of these layers that nobody has looked at since the boot, and removes damaged ones with their
  // images; what is there afterwards is whole. Blocks. An error: it is not known.
  absl::Status CheckLayers(const Call& call, const std::string& snapshotter, const std::vector<std::string>& chain_ids);
  absl::Status NoteWhole(const std::string& snapshotter, const std::vector<state::v1::Layer>& rows);
  absl::Status DropDamaged(const std::string& snapshotter, const std::vector<state::v1::Layer>& rows);
  void CheckAllLayers();
  absl::Status Sweep(const Call& call, const std::string& snapshotter, const std::set<std::string>& container_keys);
  void Publish(EventType type, const std::string& id);

  const ImagesOptions options;
  std::map<std::string, LayerTable> layers;  // by snapshotter; the same names as in options, for ever
  // Held over changes of rows and of the tables, so that these agree. Taken before `mutex`.
  std::mutex write_mutex;
  mutable std::mutex mutex;  // guards what is below; never held while anything blocks
  ImageTable table;
  std::set<std::string> dropping;  // images whose removal is being committed: nobody may pin them any more
  std::map<std::string, std::shared_ptr<Flight>> flights;
  bool closing = false;
  const UniqueFd stop_checking{eventfd(0, EFD_CLOEXEC)};
  ThreadPool pulls{kMaxPulls};  // ends first: its tasks use the rest
};

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_IMAGES_STATE_H_
