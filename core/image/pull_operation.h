// One pull, seen from the daemon: talks to a worker, prepares and commits the layers' snapshots in chain order.
#ifndef BERTH_CORE_IMAGE_PULL_OPERATION_H_
#define BERTH_CORE_IMAGE_PULL_OPERATION_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/unique_fd.h"
#include "core/image/layer_table.h"
#include "core/image/pull_channel.h"
#include "core/image/worker_process.h"
#include "core/oci/image_spec.h"
#include "core/plugin/call.h"
#include "core/plugin/snapshotter.h"
#include "core/store/store.h"
#include "proto/berth/pull/v1/pull.pb.h"
#include "proto/berth/state/v1/state.pb.h"

namespace berth {

// One thread. Everything it was given outlives it.
class PullOperation {
 public:
  struct Environment {
    std::string snapshotter_name;
    Snapshotter* snapshotter = nullptr;
    Store* store = nullptr;
    LayerTable* layers = nullptr;
    WorkerLauncher launch_worker;
    // Called once with the chain ids of all layers, before one that is there already is used. Blocks.
    std::function<absl::Status(const Call& call, const std::vector<std::string>& chain_ids)> check_layers;
    std::string boot_id;
    int64_t progress_timeout_ns = 0;
  };
  struct Result {
    state::v1::Image image;     // without names
    std::string target_digest;  // what the reference names
    std::vector<state::v1::Layer>
        layers;  // of the image, base first: committed and durable, leased until ~PullOperation
    std::vector<std::string> finished_intents;  // row keys, to be deleted with the commit of all this
  };

  PullOperation(const Environment& environment, pull::v1::Start start, const Call& call);
  // Ends the worker, removes what was unpacked and not committed, gives the leases back.
  ~PullOperation();
  PullOperation(const PullOperation&) = delete;
  PullOperation& operator=(const PullOperation&) = delete;

  // Once.
  absl::StatusOr<Result> Run();

 private:
  enum class Stage { kWaiting, kUnpacking, kUnpacked, kReady };
  struct Layer {
    std::string chain_id, diff_id;
    Stage stage = Stage::kWaiting;
    std::string key;  // of our own snapshot; empty when it is another pull's
  };

  absl::Status Begin();
  absl::Status TakeResolved(const pull::v1::Resolved& resolved);
  absl::Status UnpackLayers();
  // Moves every layer as far as it can go now.
  absl::Status Advance();
  absl::Status Claim(size_t index);
  absl::Status PrepareMine(size_t index);
  absl::Status CommitMine(size_t index);
  std::vector<std::string> ParentKeys(size_t index) const;
  // Waits for the worker, another pull, or a reason to give up.
  absl::Status Wait();
  absl::Status NextMessage(pull::v1::FromWorker* message, bool* found);
  absl::Status TakeMessage(const pull::v1::FromWorker& message);
  void Undo();

  const Environment environment_;
  const pull::v1::Start start_;
  const Call call_;
  const bool parallel_;  // the snapshotter wants parents at commit only
  UniqueFd wake_;
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<PullChannel> channel_;
  int64_t progress_deadline_ns_ = 0;

  bool resolved_ = false;
  Result result_;
  std::vector<Layer> layers_;
};

// "KIND TARGET": the key of an intent's row.
std::string IntentRowKey(state::v1::Intent::Kind kind, const std::string& target);

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_PULL_OPERATION_H_
