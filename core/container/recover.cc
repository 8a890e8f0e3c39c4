// What a new daemon does about the containers it finds in its records.
#include <condition_variable>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/container/container_config.h"
#include "core/container/containers.h"

namespace berth {

absl::Status Containers::Load() {
  const std::vector<std::shared_ptr<Pod>> pods = env_.pods->All();
  std::map<std::string, std::shared_ptr<Pod>> pod_by_id;
  for (const auto& pod : pods) pod_by_id.emplace(pod->id(), pod);
  std::vector<std::string> strays;
  const auto load = [&](absl::string_view key, absl::string_view data) -> absl::Status {
    ContainerView view;
    auto config = std::make_shared<runtime::v1::ContainerConfig>();
    if (!view.record.ParseFromArray(data.data(), static_cast<int>(data.size())) || view.record.id() != key ||
        !config->ParseFromString(view.record.config())) {
      return absl::DataLossError(absl::StrCat("read the record of container ", key, ": it is damaged"));
    }
    view.config = config;
    const auto pod = pod_by_id.find(view.record.pod_id());
    if (pod == pod_by_id.end()) {
      LogError("container without a pod sandbox is forgotten", {{"container", key}, {"pod", view.record.pod_id()}});
      strays.emplace_back(key);
      return absl::OkStatus();
    }
    const std::string image_id = view.record.image_id();
    auto container = std::make_shared<Container>(pod->second, std::move(view));
    container->EndCreate();
    table_.Insert(container->id(), ContainerNameKey(pod->first, config->metadata()), container);
    if (auto pinned = env_.images->Pin(container->id(), image_id); !pinned.ok() && !image_id.empty()) {
      LogWarn("the image of a container is gone", {{"container", key}, {"error", pinned.status().message()}});
    }
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(env_.store->ForEach(Table::kContainers, load));
  // The kubelet cannot see them and nothing of them can run; refusing to start would take the whole node down.
  for (const std::string& id : strays) {
    RETURN_IF_ERROR(RemoveTree(BundleOf(id)));
    RETURN_IF_ERROR(ForgetRow(id));
  }
  return absl::OkStatus();
}

std::set<std::string> Containers::SnapshotKeys() const {
  std::set<std::string> keys;
  for (const auto& container : table_.All()) keys.insert(container->view()->record.snapshot_key());
  keys.erase("");
  return keys;
}

void Containers::Reattach() {
  std::mutex mutex;
  std::condition_variable done;
  const std::vector<std::shared_ptr<Container>> all = table_.All();
  size_t left = all.size();
  for (const auto& container : all) {
    // On the queue, behind the exits that the supervisor has told again.
    container->pod()->queue().Add([&, container] {
      if (absl::Status status = ReattachOne(container); !status.ok()) {
        LogError("recover container", {{"container", container->id()}, {"error", status.message()}});
      }
      std::lock_guard lock(mutex);
      --left;
      done.notify_all();
    });
  }
  std::unique_lock lock(mutex);
  done.wait(lock, [&] { return left == 0; });
}

absl::Status Containers::ReattachOne(const std::shared_ptr<Container>& container) {
  state::v1::Container record = container->view()->record;
  if (record.state() == state::v1::Container::CREATING) return Discard(container);
  if (absl::Status undone = UndoUpdate(container); !undone.ok()) {
    LogError("undo an update of resources that a daemon's end cut short; the next update tries again",
             {{"container", container->id()}, {"error", undone.message()}});
  }
  record = container->view()->record;
  if (record.state() != state::v1::Container::CREATED && record.state() != state::v1::Container::RUNNING) {
    return absl::OkStatus();
  }
  if (const std::shared_ptr<Supervisor> supervisor = container->pod()->supervisor()) {
    ASSIGN_OR_RETURN(const std::vector<SupervisedProcess> known, supervisor->List(ExecutorCall()));
    for (const SupervisedProcess& process : known) {
      if (process.container_id != container->id() || !process.exec_id.empty()) continue;
      if (process.state == SupervisedState::kExited) return absl::OkStatus();  // its exit is told as an event
      if (process.state != SupervisedState::kRunning) break;
      if (record.state() == state::v1::Container::RUNNING || container->pod()->handler() == nullptr) {
        return absl::OkStatus();
      }
      // The daemon died around the start: the executor knows which side of it.
      ASSIGN_OR_RETURN(const ExecutorContainer found,
                       container->pod()->handler()->executor->State(ExecutorCall(), RequestFor(*container)));
      if (found.state != ExecutorState::kRunning) return absl::OkStatus();
      record.set_state(state::v1::Container::RUNNING);
      record.set_started_at(UnixNanos());
      return Save(container, record);
    }
  }
  record.set_finished_at(UnixNanos());
  record.set_exit_code(255);
  record.set_reason("Unknown");
  record.set_message("the container ended while no daemon ran, with its pod's supervisor or with the machine");
  Exited(container, std::move(record));
  return absl::OkStatus();
}

}  // namespace berth
