#include "core/image/pull_operation.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/status.h"

namespace berth {
namespace {

constexpr int64_t kNanosPerMilli = 1'000'000;

absl::Status WorkerBroke(const char* how) {
  return absl::InternalError(absl::StrCat("the pull worker ", how, "; see the daemon's log"));
}

}  // namespace

std::string IntentRowKey(state::v1::Intent::Kind kind, const std::string& target) {
  return absl::StrCat(state::v1::Intent::Kind_Name(kind), " ", target);
}

PullOperation::PullOperation(const Environment& environment, pull::v1::Start start, const Call& call)
    : environment_(environment),
      start_(std::move(start)),
      call_(call),
      parallel_((environment.snapshotter->capabilities() & kParentAtCommit) != 0),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  environment_.layers->Watch(wake_.get());
}

PullOperation::~PullOperation() {
  environment_.layers->Unwatch(wake_.get());
  worker_.reset();  // nobody writes into the snapshots any more
  Undo();
}

void PullOperation::Undo() {
  Transaction undone;
  for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer) {
    if (layer->stage == Stage::kReady) {
      environment_.layers->Release(layer->chain_id);
      continue;
    }
    if (layer->stage == Stage::kWaiting) continue;
    // Not the pull's own call: that one may be cancelled.
    absl::Status removed = Failpoint("image.pull.undo");
    if (removed.ok()) removed = environment_.snapshotter->Remove(Call(), layer->key);
    if (removed.ok() || absl::IsNotFound(removed)) {
      undone.Delete(Table::kIntents, IntentRowKey(state::v1::Intent::UNPACK_LAYER, layer->key));
    } else {
      LogWarn("a half-made layer stays until the next start",
              {{"snapshot", layer->key}, {"error", removed.ToString()}});
    }
    environment_.layers->Abandon(layer->chain_id);
  }
  if (undone.empty()) return;
  if (absl::Status status = environment_.store->Commit(undone, Durability::kVolatile); !status.ok())
    LogWarn("delete intents of a failed pull", {{"error", status.ToString()}});
  // no failpoint: whoever removes something next does it again
  (void)environment_.snapshotter->Cleanup(Call());
}

absl::StatusOr<PullOperation::Result> PullOperation::Run() {
  if (!wake_) return absl::ResourceExhaustedError("eventfd: no descriptors left");
  RETURN_IF_ERROR(Begin());
  while (!resolved_) RETURN_IF_ERROR(Wait());
  RETURN_IF_ERROR(UnpackLayers());
  pull::v1::ToWorker close;
  close.mutable_close();
  (void)channel_->Send(close);  // it has done its work, whether it hears this or not
  std::vector<std::string> chain_ids;
  for (const Layer& layer : layers_) chain_ids.push_back(layer.chain_id);
  ASSIGN_OR_RETURN(result_.layers, environment_.layers->Rows(chain_ids));
  return std::move(result_);
}

absl::Status PullOperation::Begin() {
  RETURN_IF_ERROR(Failpoint("image.pull.worker"));
  ASSIGN_OR_RETURN(worker_, environment_.launch_worker());
  RETURN_IF_ERROR(Failpoint("image.pull.launched"));
  channel_ = std::make_unique<PullChannel>(worker_->socket());
  progress_deadline_ns_ = MonotonicNanos() + environment_.progress_timeout_ns;
  pull::v1::ToWorker message;
  *message.mutable_start() = start_;
  return channel_->Send(message);
}

// The worker has met the registry's bytes, so what it says is looked at once more.
absl::Status PullOperation::TakeResolved(const pull::v1::Resolved& resolved) {
  if (resolved_) return WorkerBroke("resolved twice");
  ASSIGN_OR_RETURN(const Digest target, Digest::Parse(resolved.target_digest()));
  ASSIGN_OR_RETURN(const Digest manifest_digest, Digest::Parse(resolved.manifest_digest()));
  ASSIGN_OR_RETURN(const oci::Manifest manifest,
                   oci::ParseManifest(resolved.manifest(), resolved.manifest_media_type()));
  ASSIGN_OR_RETURN(const oci::ImageConfig config, oci::ParseImageConfig(resolved.config()));
  DigestHasher hasher(manifest.config.digest.algorithm());
  hasher.Update(resolved.config());
  if (hasher.Finish() != manifest.config.digest || config.diff_ids.size() != manifest.layers.size())
    return WorkerBroke("passed on a configuration that is not the manifest's");

  const std::vector<Digest> chain_ids = ChainIds(config.diff_ids);
  state::v1::Image& image = result_.image;
  image.set_id(manifest.config.digest.ToString());
  image.set_config(resolved.config());
  image.set_manifest(resolved.manifest());
  image.set_manifest_digest(manifest_digest.ToString());
  image.set_manifest_media_type(resolved.manifest_media_type());
  image.set_snapshotter(environment_.snapshotter_name);
  uint64_t size = resolved.manifest().size() + resolved.config().size();
  for (size_t i = 0; i < chain_ids.size(); ++i) {
    size += manifest.layers[i].size;
    image.add_chain_ids(chain_ids[i].ToString());
    layers_.push_back({chain_ids[i].ToString(), config.diff_ids[i].ToString()});
  }
  image.set_size(size);
  result_.target_digest = target.ToString();
  resolved_ = true;
  return absl::OkStatus();
}

absl::Status PullOperation::UnpackLayers() {
  RETURN_IF_ERROR(
      environment_.check_layers(call_, {result_.image.chain_ids().begin(), result_.image.chain_ids().end()}));
  progress_deadline_ns_ = MonotonicNanos() + environment_.progress_timeout_ns;
  for (;;) {
    RETURN_IF_ERROR(Advance());
    // Commits go in chain order: when the last is ready, all are.
    if (layers_.empty() || layers_.back().stage == Stage::kReady) return absl::OkStatus();
    RETURN_IF_ERROR(Wait());
  }
}

absl::Status PullOperation::Advance() {
  bool parents_ready = true;
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (layers_[i].stage == Stage::kWaiting && (parallel_ || parents_ready)) RETURN_IF_ERROR(Claim(i));
    if (layers_[i].stage == Stage::kUnpacked && parents_ready) RETURN_IF_ERROR(CommitMine(i));
    parents_ready = parents_ready && layers_[i].stage == Stage::kReady;
  }
  return absl::OkStatus();
}

absl::Status PullOperation::Claim(size_t index) {
  Layer& layer = layers_[index];
  switch (environment_.layers->Acquire(layer.chain_id)) {
    case LayerTable::Claim::kReady:
      layer.stage = Stage::kReady;
      return absl::OkStatus();
    case LayerTable::Claim::kBusy:
      return absl::OkStatus();
    case LayerTable::Claim::kMine:
      break;
  }
  auto number = environment_.store->NextNumber();
  if (!number.ok()) {
    environment_.layers->Abandon(layer.chain_id);
    return number.status();
  }
  layer.key = absl::StrCat(*number);
  layer.stage = Stage::kUnpacking;
  return PrepareMine(index);
}

absl::Status PullOperation::PrepareMine(size_t index) {
  const Layer& layer = layers_[index];
  state::v1::Intent intent;
  intent.set_kind(state::v1::Intent::UNPACK_LAYER);
  intent.set_target(layer.key);
  intent.set_created_at(UnixNanos());
  intent.set_snapshotter(environment_.snapshotter_name);
  const std::string row_key = IntentRowKey(intent.kind(), layer.key);
  RETURN_IF_ERROR(
      environment_.store->Commit(Transaction().Put(Table::kIntents, row_key, intent), Durability::kVolatile));
  RETURN_IF_ERROR(Failpoint("image.pull.intent"));

  SnapshotRequest request;
  request.key = layer.key;
  request.kind = SnapshotKind::kLayer;
  if (!parallel_) request.parents = ParentKeys(index);
  auto prepared = environment_.snapshotter->Prepare(call_, request);
  if (!prepared.ok()) return Annotate(prepared.status(), "prepare snapshot " + layer.key);
  RETURN_IF_ERROR(Failpoint("image.pull.prepared"));
  pull::v1::ToWorker message;
  message.mutable_layer()->set_index(static_cast<uint32_t>(index));
  message.mutable_layer()->set_whiteouts(static_cast<int32_t>(prepared->whiteouts));
  return channel_->Send(message, prepared->directory.get());
}

std::vector<std::string> PullOperation::ParentKeys(size_t index) const {
  std::vector<std::string> chain_ids;
  for (size_t i = index; i-- > 0;) chain_ids.push_back(layers_[i].chain_id);
  std::vector<std::string> keys;
  if (auto rows = environment_.layers->Rows(chain_ids); rows.ok()) {
    for (const auto& row : *rows) keys.push_back(row.snapshot_key());
  }
  return keys;
}

absl::Status PullOperation::CommitMine(size_t index) {
  Layer& layer = layers_[index];
  RETURN_IF_ERROR(Failpoint("image.pull.commit"));
  RETURN_IF_ERROR(
      Annotate(environment_.snapshotter->Commit(call_, layer.key, ParentKeys(index)), "commit snapshot " + layer.key));
  RETURN_IF_ERROR(Failpoint("image.pull.committed"));
  state::v1::Layer row;
  row.set_chain_id(layer.chain_id);
  row.set_snapshotter(environment_.snapshotter_name);
  row.set_snapshot_key(layer.key);
  if (index > 0) row.set_parent_chain_id(layers_[index - 1].chain_id);
  row.set_diff_id(layer.diff_id);
  auto usage = environment_.snapshotter->Usage(call_, layer.key);
  if (!usage.ok()) return Annotate(usage.status(), "measure snapshot " + layer.key);
  row.set_bytes(usage->bytes);
  row.set_inodes(usage->inodes);
  row.set_fingerprint(usage->fingerprint);
  row.set_boot_id(environment_.boot_id);
  result_.finished_intents.push_back(IntentRowKey(state::v1::Intent::UNPACK_LAYER, layer.key));
  layer.stage = Stage::kReady;
  environment_.layers->Commit(row);
  return absl::OkStatus();
}

absl::Status PullOperation::Wait() {
  pull::v1::FromWorker message;
  for (bool found = true, any = false;; any = true) {
    RETURN_IF_ERROR(NextMessage(&message, &found));
    if (!found && any) return absl::OkStatus();
    if (!found) break;
    RETURN_IF_ERROR(TakeMessage(message));
  }
  const int64_t now = MonotonicNanos();
  if (now >= call_.deadline_ns) return absl::DeadlineExceededError("it took too long");
  if (now >= progress_deadline_ns_)
    return absl::DeadlineExceededError(
        absl::StrCat("no byte has arrived for ", environment_.progress_timeout_ns / (1000 * kNanosPerMilli), " s"));
  const int64_t left = std::min(call_.deadline_ns, progress_deadline_ns_) - now;
  const int timeout = static_cast<int>(std::min<int64_t>(left / kNanosPerMilli + 1, 60'000));
  pollfd fds[3] = {{worker_->socket(), POLLIN, 0}, {wake_.get(), POLLIN, 0}, {call_.cancel_fd, POLLIN, 0}};
  if (poll(fds, 3, timeout) < 0 && errno != EINTR) return ErrnoStatus("poll");
  if (fds[2].revents != 0) return absl::CancelledError("cancelled");
  if (fds[1].revents != 0) {
    uint64_t count;
    (void)!read(wake_.get(), &count, sizeof(count));
    // Other pulls make progress for us, too.
    progress_deadline_ns_ = MonotonicNanos() + environment_.progress_timeout_ns;
  }
  if (fds[0].revents == 0) return absl::OkStatus();
  const absl::Status received = channel_->ReadAvailable();
  return absl::IsUnavailable(received) ? WorkerBroke("has ended without an answer") : received;
}

absl::Status PullOperation::NextMessage(pull::v1::FromWorker* message, bool* found) {
  const std::optional<std::string> frame = channel_->NextFrame();
  *found = frame.has_value();
  if (!*found || message->ParseFromString(*frame)) return absl::OkStatus();
  return WorkerBroke("sent a message that is none");
}

absl::Status PullOperation::TakeMessage(const pull::v1::FromWorker& message) {
  progress_deadline_ns_ = MonotonicNanos() + environment_.progress_timeout_ns;
  if (message.has_failed()) {
    auto code = static_cast<absl::StatusCode>(message.failed().code());
    if (message.failed().code() <= 0 || code > absl::StatusCode::kUnauthenticated) code = absl::StatusCode::kInternal;
    return absl::Status(code, message.failed().message());
  }
  if (message.has_resolved()) return TakeResolved(message.resolved());
  if (!message.has_layer_done()) return absl::OkStatus();
  const uint32_t index = message.layer_done().index();
  if (index >= layers_.size() || layers_[index].stage != Stage::kUnpacking)
    return WorkerBroke("finished a layer it was not given");
  layers_[index].stage = Stage::kUnpacked;
  return absl::OkStatus();
}

}  // namespace berth
