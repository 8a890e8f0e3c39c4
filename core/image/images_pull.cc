// Images::Pull: calls that share an operation, and the record of what it has pulled.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/image/images.h"
#include "core/image/images_state.h"

namespace berth {
namespace {

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
  for (const std::string& name : request.snapshotters) add(name);
  add("");
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
      slot = std::make_shared<State::Flight>(key);
      state->pulls.Add([state, reference, request, mine = slot] {
        auto result = state->RunPull(reference, request, *mine);
        const std::lock_guard<std::mutex> lock(state->mutex);
        mine->result = std::move(result);
        mine->finished = true;
        state->CloseFlight(*mine);
        SignalEvent(mine->done.get());
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
      SignalEvent(flight->cancel.get());
      state->CloseFlight(*flight);
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

void Images::State::CloseFlight(const Flight& flight) {
  // The place may be another's by now.
  if (const auto it = flights.find(flight.key); it != flights.end() && it->second.get() == &flight) flights.erase(it);
}

absl::StatusOr<std::string> Images::State::RunPull(const ImageReference& reference, const ImagePullRequest& request,
                                                   const Flight& flight) {
  Call call;
  call.cancel_fd = flight.cancel.get();
  call.deadline_ns = MonotonicNanos() + options.timeout_ns;
  const int64_t began = MonotonicNanos();
  absl::StatusOr<std::string> id = PullForEach(reference, request, flight, call);
  // Layers that were committed before another one failed, or whose image went before the pull let go of them.
  FreeLayers(Call());
  if (!id.ok()) return PullError(id.status(), reference.Normalised());
  LogInfo("image pulled",
          {{"image", reference.Normalised()}, {"id", *id}, {"milliseconds", (MonotonicNanos() - began) / 1'000'000}});
  return id;
}

// One snapshotter after the other: each prepares its layers in its own way. All are recorded together, or none.
absl::StatusOr<std::string> Images::State::PullForEach(const ImageReference& reference, const ImagePullRequest& request,
                                                       const Flight& flight, const Call& call) {
  std::vector<std::unique_ptr<PullOperation>> operations;  // they hold the layers until these are recorded
  std::vector<PullOperation::Result> pulled;
  ImageReference wanted = reference;
  for (const std::string& name : request.snapshotters) {
    const auto snapshotter = options.snapshotters.find(name);
    if (snapshotter == options.snapshotters.end()) {
      return absl::InvalidArgumentError(absl::StrCat("there is no snapshotter ", name));
    }
    PullOperation::Environment environment;
    environment.snapshotter_name = name;
    environment.snapshotter = snapshotter->second;
    environment.store = options.store;
    environment.layers = &layers.at(name);
    environment.launch_worker = options.launch_worker;
    environment.check_layers = [this, name](const Call& its_call, const std::vector<std::string>& chain_ids) {
      return CheckLayers(its_call, name, chain_ids);
    };
    environment.boot_id = options.boot_id;
    environment.progress_timeout_ns = options.progress_timeout_ns;
    pull::v1::Start start = StartOf(options, wanted, request);
    start.set_deadline_ns(call.deadline_ns);
    operations.push_back(std::make_unique<PullOperation>(environment, std::move(start), call));
    ASSIGN_OR_RETURN(PullOperation::Result result, operations.back()->Run());
    wanted.digest = result.target_digest;  // a tag that moves meanwhile makes no mixture
    pulled.push_back(std::move(result));
  }
  if (pulled.empty()) return absl::InvalidArgumentError("the request names no snapshotter");
  ASSIGN_OR_RETURN(std::string id, Record(reference, pulled, flight));
  RETURN_IF_ERROR(Failpoint("image.pull.recorded"));
  return id;
}

absl::StatusOr<std::string> Images::State::Record(const ImageReference& reference,
                                                  const std::vector<PullOperation::Result>& pulled,
                                                  const Flight& flight) {
  state::v1::Image row = pulled.front().image;
  ImageReference digested = reference;
  digested.digest = pulled.front().target_digest;
  std::vector<std::string> names = {digested.Digested()};
  if (reference.digest.empty()) names.push_back(reference.Tagged());

  const std::lock_guard<std::mutex> writing(write_mutex);
  std::vector<state::v1::Image> losers;
  std::vector<std::string> had;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    if (auto old = table.Row(row.id())) {
      row = *std::move(old);
      row.set_removed(false);
      had = SnapshottersOf(row);
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
  row.mutable_snapshotters()->Assign(had.begin(), had.end());
  for (const auto& result : pulled) {
    if (result.image.id() != row.id()) return absl::DataLossError("the registry answered two images for one digest");
    add(row.mutable_snapshotters(), result.image.snapshotter());
  }

  Transaction change;
  change.Put(Table::kImages, row.id(), row);
  for (const auto& loser : losers) change.Put(Table::kImages, loser.id(), loser);
  for (const auto& result : pulled) {
    for (const auto& layer : result.layers) change.Put(Table::kLayers, LayerRowKey(layer), layer);
    for (const std::string& intent : result.finished_intents) change.Delete(Table::kIntents, intent);
  }
  RETURN_IF_ERROR(Failpoint("image.pull.record"));
  RETURN_IF_ERROR(Annotate(options.store->Commit(change, Durability::kDurable), "record the image"));
  for (const auto& result : pulled) {
    const std::string& name = result.image.snapshotter();
    if (std::find(had.begin(), had.end(), name) == had.end()) layers.at(name).AddImage(ChainIdsOf(row));
  }
  {
    const std::lock_guard<std::mutex> lock(mutex);
    for (const auto& loser : losers) table.Put(loser);
    table.Put(row);
    CloseFlight(flight);  // who asks from now on finds the image, or it is gone again and has to be pulled anew
  }
  Publish(EventType::kCreated, row.id());
  return row.id();
}

}  // namespace berth
