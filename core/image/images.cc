#include "core/image/images.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/base/work_queue.h"
#include "core/image/image_table.h"
#include "core/image/layer_table.h"
#include "core/image/pull_operation.h"
#include "core/image/reference.h"

namespace berth {
namespace {

constexpr size_t kMaxPulls = 16;  // at a time; more of them wait

std::string LayerRowKey(const state::v1::Layer& layer) {
  return absl::StrCat(layer.snapshotter(), " ", layer.chain_id());
}

std::vector<std::string> ChainIdsOf(const state::v1::Image& row) {
  return {row.chain_ids().begin(), row.chain_ids().end()};
}

void Signal(int event_fd) {
  const uint64_t one = 1;
  (void)!write(event_fd, &one, sizeof(one));
}

pull::v1::Start StartOf(const ImagesOptions& options, const ImageReference& reference,
                        const ImagePullRequest& request) {
  pull::v1::Start start;
  start.set_reference(reference.Normalised());
  start.set_os(options.platform.os);
  start.set_architecture(options.platform.architecture);
  start.set_variant(options.platform.variant);
  auto* credentials = start.mutable_credentials();
  credentials->set_username(request.credentials.username);
  credentials->set_password(request.credentials.password);
  credentials->set_auth(request.credentials.auth);
  credentials->set_server_address(request.credentials.server_address);
  credentials->set_identity_token(request.credentials.identity_token);
  credentials->set_registry_token(request.credentials.registry_token);
  start.mutable_annotations()->insert(request.annotations.begin(), request.annotations.end());
  start.set_runtime_handler(request.runtime_handler);
  for (const std::string& directory : options.plugin_directories) start.add_plugin_directories(directory);
  for (const RegistryInstance& instance : options.registries) {
    auto* registry = start.add_registries();
    registry->set_name(instance.name);
    registry->set_config_json(instance.config_json);
  }
  start.set_root(options.root);
  start.set_state(options.state);
  start.set_max_layer_bytes(options.max_layer_bytes);
  start.set_max_parallel_layers(options.max_parallel_layers);
  return start;
}

// What makes two requests the same pull. Holds secrets: never logged.
std::string FlightKey(const ImageReference& reference, const ImagePullRequest& request) {
  std::string key = absl::StrCat(reference.Tagged(), "\n", reference.Digested());
  const auto add = [&key](const std::string& text) { absl::StrAppend(&key, "\n", text.size(), ":", text); };
  const RegistryCredentials& c = request.credentials;
  for (const std::string* text :
       {&c.username, &c.password, &c.auth, &c.server_address, &c.identity_token, &c.registry_token}) {
    add(*text);
  }
  add(request.runtime_handler);
  for (const auto& [name, value] : request.annotations) {
    add(name);
    add(value);
  }
  return key;
}

// What PullImage's callers look at, see Images::Pull.
absl::Status PullError(const absl::Status& status, const std::string& reference) {
  const std::string text = absl::StrCat("pull ", reference, ": ", status.message());
  if (absl::IsUnavailable(status)) return absl::UnknownError(absl::StrCat("RegistryUnavailable: ", text));
  return absl::Status(status.code(), text);
}

}  // namespace

struct Images::State {
  explicit State(ImagesOptions o, std::set<std::string> pinned) : options(std::move(o)), table(std::move(pinned)) {}

  // Calls of Pull that share one operation.
  struct Flight {
    UniqueFd done{eventfd(0, EFD_CLOEXEC)}, cancel{eventfd(0, EFD_CLOEXEC)};
    int waiters = 0;  // guarded by mutex, like the rest
    bool finished = false;
    absl::StatusOr<std::string> result = absl::UnknownError("unfinished");
  };

  absl::StatusOr<std::string> RunPull(const ImageReference& reference, const ImagePullRequest& request, int cancel_fd);
  absl::StatusOr<std::string> Record(const ImageReference& reference, const PullOperation::Result& pulled);
  absl::Status Forget(const Call& call, const std::string& id);
  absl::Status HidePinned(state::v1::Image row);
  absl::StatusOr<std::vector<state::v1::Layer>> DropUnpinned(const state::v1::Image& row);
  Transaction RemovalOf(const std::vector<state::v1::Layer>& free) const;
  void RemoveSnapshots(const Call& call, const std::vector<state::v1::Layer>& layers);
  void FreeLayers(const Call& call);
  absl::Status DropBroken(const std::set<std::string>& existing);
  absl::Status Sweep(const Call& call, const std::set<std::string>& container_keys);
  void Publish(EventType type, const std::string& id);

  const ImagesOptions options;
  LayerTable layers;
  // Held over changes of rows and of the tables, so that these agree. Taken before `mutex`.
  std::mutex write_mutex;
  mutable std::mutex mutex;  // guards what is below; never held while anything blocks
  ImageTable table;
  std::set<std::string> dropping;  // images whose removal is being committed: nobody may pin them any more
  std::map<std::string, std::shared_ptr<Flight>> flights;
  bool closing = false;
  ThreadPool pulls{kMaxPulls};  // ends first: its tasks use the rest
};

Images::Images(std::unique_ptr<State> state) : state_(std::move(state)) {}

Images::~Images() {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->closing = true;
  for (const auto& [key, flight] : state_->flights) Signal(flight->cancel.get());
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

// -- pull

absl::StatusOr<std::string> Images::Pull(const Call& call, const ImagePullRequest& request) {
  ASSIGN_OR_RETURN(const ImageReference reference, ParseImageReference(request.reference));
  const std::string key = FlightKey(reference, request);
  State* const state = state_.get();
  std::shared_ptr<State::Flight> flight;
  {
    const std::lock_guard<std::mutex> lock(state->mutex);
    if (state->closing) return absl::UnavailableError("the daemon is shutting down");
    std::shared_ptr<State::Flight>& slot = state->flights[key];
    if (slot == nullptr) {
      slot = std::make_shared<State::Flight>();
      state->pulls.Add([state, key, reference, request, mine = slot] {
        auto result = state->RunPull(reference, request, mine->cancel.get());
        const std::lock_guard<std::mutex> lock(state->mutex);
        mine->result = std::move(result);
        mine->finished = true;
        // After a cancellation the place may be another's.
        if (auto it = state->flights.find(key); it != state->flights.end() && it->second == mine)
          state->flights.erase(it);
        Signal(mine->done.get());
      });
    }
    flight = slot;
    ++flight->waiters;
  }

  absl::Status gave_up;
  for (bool done = false; !done;) {
    const int64_t left = call.deadline_ns - MonotonicNanos();
    if (left <= 0) {
      gave_up = absl::DeadlineExceededError("the caller's deadline has passed");
      break;
    }
    pollfd fds[2] = {{flight->done.get(), POLLIN, 0}, {call.cancel_fd, POLLIN, 0}};
    if (poll(fds, 2, static_cast<int>(std::min<int64_t>(left / 1'000'000 + 1, 60'000))) < 0 && errno != EINTR)
      return ErrnoStatus("poll");
    done = fds[0].revents != 0;
    if (!done && fds[1].revents != 0) {
      gave_up = absl::CancelledError("the caller has given up");
      break;
    }
  }
  bool last = false;
  {
    const std::lock_guard<std::mutex> lock(state->mutex);
    last = --flight->waiters == 0 && !flight->finished;
    if (last) {
      Signal(flight->cancel.get());
      if (auto it = state->flights.find(key); it != state->flights.end() && it->second == flight)
        state->flights.erase(it);
    }
    if (gave_up.ok()) return flight->result;
  }
  if (last) {
    // Nothing of it is left when the caller hears of its end.
    pollfd done{flight->done.get(), POLLIN, 0};
    while (poll(&done, 1, -1) < 0 && errno == EINTR) {
    }
  }
  return PullError(gave_up, reference.Normalised());
}

absl::StatusOr<std::string> Images::State::RunPull(const ImageReference& reference, const ImagePullRequest& request,
                                                   int cancel_fd) {
  PullOperation::Environment environment;
  environment.snapshotter_name = options.snapshotter_name;
  environment.snapshotter = options.snapshotter;
  environment.store = options.store;
  environment.layers = &layers;
  environment.launch_worker = options.launch_worker;
  environment.progress_timeout_ns = options.progress_timeout_ns;
  Call call;
  call.cancel_fd = cancel_fd;
  call.deadline_ns = MonotonicNanos() + options.timeout_ns;
  pull::v1::Start start = StartOf(options, reference, request);
  start.set_deadline_ns(call.deadline_ns);
  const int64_t began = MonotonicNanos();
  absl::StatusOr<std::string> id;
  {
    PullOperation operation(environment, std::move(start), call);
    auto pulled = operation.Run();
    id = pulled.ok() ? Record(reference, *pulled) : absl::StatusOr<std::string>(pulled.status());
  }
  if (!id.ok()) {
    // Layers that were committed before another one failed.
    FreeLayers(Call());
    return PullError(id.status(), reference.Normalised());
  }
  LogInfo("image pulled",
          {{"image", reference.Normalised()}, {"id", *id}, {"milliseconds", (MonotonicNanos() - began) / 1'000'000}});
  return id;
}

absl::StatusOr<std::string> Images::State::Record(const ImageReference& reference,
                                                  const PullOperation::Result& pulled) {
  state::v1::Image row = pulled.image;
  ImageReference digested = reference;
  digested.digest = pulled.target_digest;
  std::vector<std::string> names = {digested.Digested()};
  if (reference.digest.empty()) names.push_back(reference.Tagged());

  const std::lock_guard<std::mutex> writing(write_mutex);
  std::vector<state::v1::Image> losers;
  bool known = false;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    if (auto old = table.Row(row.id())) {
      known = true;
      row = *std::move(old);
      row.set_removed(false);
    } else {
      row.set_created_at(UnixNanos());
    }
    losers = table.LosersOf(row.id(), names);
  }
  const auto add = [](google::protobuf::RepeatedPtrField<std::string>* to, const std::string& name) {
    if (std::find(to->begin(), to->end(), name) == to->end()) *to->Add() = name;
  };
  add(row.mutable_digests(), names[0]);
  if (names.size() > 1) add(row.mutable_tags(), names[1]);

  Transaction change;
  change.Put(Table::kImages, row.id(), row);
  for (const auto& loser : losers) change.Put(Table::kImages, loser.id(), loser);
  for (const auto& layer : pulled.layers) change.Put(Table::kLayers, LayerRowKey(layer), layer);
  for (const std::string& intent : pulled.finished_intents) change.Delete(Table::kIntents, intent);
  RETURN_IF_ERROR(Failpoint("image.pull.record"));
  RETURN_IF_ERROR(Annotate(options.store->Commit(change, Durability::kDurable), "record the image"));
  if (!known) layers.AddImage(ChainIdsOf(row));
  {
    const std::lock_guard<std::mutex> lock(mutex);
    for (const auto& loser : losers) table.Put(loser);
    table.Put(row);
  }
  Publish(EventType::kCreated, row.id());
  return row.id();
}

// -- what is there

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

// -- pins and removal

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
  layers.RemoveImage(ChainIdsOf(row));
  std::vector<state::v1::Layer> free = layers.TakeFree();
  Transaction change = RemovalOf(free);
  change.Delete(Table::kImages, row.id());
  absl::Status committed = Failpoint("image.remove.record");
  if (committed.ok()) committed = options.store->Commit(change, Durability::kDurable);
  if (committed.ok()) return free;
  layers.Restore(free);
  layers.AddImage(ChainIdsOf(row));
  return committed;
}

// The layers' rows go, and an intent for each tree stays until that is gone, too.
Transaction Images::State::RemovalOf(const std::vector<state::v1::Layer>& free) const {
  Transaction change;
  for (const auto& layer : free) {
    state::v1::Intent intent;
    intent.set_kind(state::v1::Intent::REMOVE_SNAPSHOT);
    intent.set_target(layer.snapshot_key());
    intent.set_created_at(UnixNanos());
    intent.set_snapshotter(options.snapshotter_name);
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
    if (removed.ok()) removed = options.snapshotter->Remove(call, key);
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
  if (absl::Status status = options.snapshotter->Cleanup(call); !status.ok())
    LogWarn("free the space of removed layers", {{"error", status.ToString()}});
}

void Images::State::FreeLayers(const Call& call) {
  std::vector<state::v1::Layer> free;
  {
    const std::lock_guard<std::mutex> writing(write_mutex);
    free = layers.TakeFree();
    if (free.empty()) return;
    if (absl::Status status = options.store->Commit(RemovalOf(free), Durability::kDurable); !status.ok()) {
      LogWarn("remove unused layers", {{"error", status.ToString()}});
      layers.Restore(free);
      return;
    }
  }
  RemoveSnapshots(call, free);
}

// -- start-up

absl::Status Images::Recover(const Call& call, const std::set<std::string>& container_keys) {
  std::set<std::string> existing;
  RETURN_IF_ERROR(
      Annotate(state_->options.snapshotter->Walk(call, [&](const SnapshotInfo& info) { existing.insert(info.key); }),
               "list snapshots"));
  RETURN_IF_ERROR(state_->DropBroken(existing));
  std::vector<std::string> unowned;
  {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    unowned = state_->table.Unowned();
  }
  for (const std::string& id : unowned) RETURN_IF_ERROR(state_->Forget(call, id));
  state_->FreeLayers(call);
  return state_->Sweep(call, container_keys);
}

// Records whose trees are gone: the disk was changed behind our back. Better no image than one with holes; the kubelet
// pulls it again.
absl::Status Images::State::DropBroken(const std::set<std::string>& existing) {
  const std::lock_guard<std::mutex> writing(write_mutex);
  const std::vector<std::string> missing = layers.DropMissing(existing);
  if (missing.empty()) return absl::OkStatus();
  Transaction change;
  for (const std::string& chain_id : missing) {
    LogError("the files of a layer are gone", {{"layer", chain_id}});
    change.Delete(Table::kLayers, absl::StrCat(options.snapshotter_name, " ", chain_id));
  }
  std::vector<state::v1::Image> broken;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    for (const std::string& id : table.Ids()) {
      const auto row = table.Row(id);
      const std::vector<std::string> chain_ids = ChainIdsOf(*row);
      const bool whole = std::all_of(chain_ids.begin(), chain_ids.end(),
                                     [this](const std::string& chain_id) { return layers.Has(chain_id); });
      if (!whole) broken.push_back(*row);
    }
  }
  for (const auto& row : broken) change.Delete(Table::kImages, row.id());
  RETURN_IF_ERROR(options.store->Commit(change, Durability::kDurable));
  const std::lock_guard<std::mutex> lock(mutex);
  for (const auto& row : broken) {
    LogError("an image is forgotten because layers of it are gone", {{"id", row.id()}});
    layers.RemoveImage(ChainIdsOf(row));
    table.Drop(row.id());
  }
  return absl::OkStatus();
}

// What no record owns: half-made layers, and those whose removal a crash has interrupted.
absl::Status Images::State::Sweep(const Call& call, const std::set<std::string>& container_keys) {
  const std::set<std::string> ours = layers.Keys();
  std::vector<std::string> strays;
  RETURN_IF_ERROR(options.snapshotter->Walk(call, [&](const SnapshotInfo& info) {
    if (ours.count(info.key) == 0 && container_keys.count(info.key) == 0) strays.push_back(info.key);
  }));
  // A snapshotter may refuse to remove a parent before its children: go round until nothing moves.
  for (bool moved = true; moved && !strays.empty();) {
    std::vector<std::string> left;
    for (const std::string& key : strays) {
      const absl::Status removed = options.snapshotter->Remove(call, key);
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
        intent.ParseFromArray(data.data(), static_cast<int>(data.size())) &&
        intent.snapshotter() == options.snapshotter_name &&
        (intent.kind() == state::v1::Intent::UNPACK_LAYER || intent.kind() == state::v1::Intent::REMOVE_SNAPSHOT);
    if (mine && std::find(strays.begin(), strays.end(), intent.target()) == strays.end())
      done.Delete(Table::kIntents, key);
    return absl::OkStatus();
  }));
  if (!done.empty()) RETURN_IF_ERROR(options.store->Commit(done, Durability::kVolatile));
  return options.snapshotter->Cleanup(call);
}

}  // namespace berth
