// What a new daemon does about the containers it finds in its records.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/failpoint.h"
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
    Insert(container);
    if (auto pinned = env_.images->Pin(container->id(), image_id); !pinned.ok() && !image_id.empty()) {
      LogWarn("the image of a container is gone", {{"container", key}, {"error", pinned.status().message()}});
    }
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(env_.store->ForEach(Table::kContainers, load));
  // The kubelet cannot see them; refusing to start would take the whole node down. What is left of them is swept.
  for (const std::string& id : strays) RETURN_IF_ERROR(ForgetRow(id));
  return absl::OkStatus();
}

// One whose CreateContainer was never answered, or that is being removed, has no right to its name: that belongs to
// whoever asks again, or has already.
void Containers::Insert(const std::shared_ptr<Container>& container) {
  const std::shared_ptr<const ContainerView> view = container->view();
  if (view->record.state() != state::v1::Container::CREATING && !view->record.removing()) {
    const std::string name = ContainerNameKey(container->pod()->id(), view->config->metadata());
    if (table_.Insert(container->id(), name, container).second) return;
    LogError("two containers have one name", {{"container", container->id()}, {"pod", container->pod()->id()}});
  }
  table_.InsertUnnamed(container->id(), container);
}

std::set<std::string> Containers::SnapshotKeys() const {
  std::set<std::string> keys;
  for (const auto& container : table_.All()) keys.insert(container->view()->record.snapshot_key());
  keys.erase("");
  return keys;
}

void Containers::UndoWhatWasInFlight(const std::shared_ptr<Container>& container) {
  const bool half_made = container->state() == state::v1::Container::CREATING;
  if (half_made && !container->create_ended()) return;  // this daemon's, and its turn comes
  if (half_made || container->view()->record.removing()) {
    Undo(container);
  } else if (absl::Status undone = UndoUpdate(container); !undone.ok()) {
    LogError("undo an update of resources that a daemon's end cut short; the next update tries again",
             {{"container", container->id()}, {"error", undone.message()}});
  }
}

void Containers::OnSupervisorFound(const std::shared_ptr<Pod>& pod, const std::vector<SupervisedProcess>& processes) {
  for (const auto& container : WholePod(*pod)) {
    UndoWhatWasInFlight(container);
    if (absl::Status status = ReattachOne(container, processes); !status.ok()) {
      LogError("recover container", {{"container", container->id()}, {"error", status.message()}});
    }
  }
}

absl::Status Containers::ReattachOne(const std::shared_ptr<Container>& container,
                                     const std::vector<SupervisedProcess>& processes) {
  state::v1::Container record = container->view()->record;
  if (record.state() != state::v1::Container::CREATED && record.state() != state::v1::Container::RUNNING) {
    return DeleteWhatExitLeft(*container);
  }
  const auto process = std::find_if(processes.begin(), processes.end(), [&](const SupervisedProcess& p) {
    return p.container_id == container->id() && p.exec_id.empty();
  });
  if (process != processes.end() && process->state == SupervisedState::kExited) {
    return absl::OkStatus();  // its exit is told as an event
  }
  if (process == processes.end() || process->state != SupervisedState::kRunning) return EndOrphan(container);
  if (record.state() == state::v1::Container::RUNNING || container->pod()->handler() == nullptr) {
    return absl::OkStatus();
  }
  // The daemon died around the start: the executor knows which side of it.
  ASSIGN_OR_RETURN(const ExecutorContainer found,
                   container->pod()->handler()->executor->State(ExecutorCall(), RequestFor(*container)));
  if (found.state != ExecutorState::kRunning) return absl::OkStatus();
  record.set_state(state::v1::Container::RUNNING);
  record.set_started_at(UnixNanos());
  RETURN_IF_ERROR(Save(container, record));
  env_.changed(container, EventType::kStarted);
  return absl::OkStatus();
}

// The executor's state went with the machine's memory, or is removed with the container.
void Containers::OnReboot(const std::shared_ptr<Pod>& pod) {
  for (const auto& container : WholePod(*pod)) {
    state::v1::Container record = container->view()->record;
    const bool half_made = record.state() == state::v1::Container::CREATING;
    if (half_made || record.removing()) {
      pod->queue().Add([this, container] { UndoWhatWasInFlight(container); });
    }
    if (half_made || record.state() == state::v1::Container::EXITED) continue;
    record.set_state(state::v1::Container::EXITED);
    record.set_pid(0);
    record.clear_update();
    record.set_finished_at(UnixNanos());
    record.set_exit_code(255);
    record.set_reason("Unknown");
    record.set_message("the machine was booted while the container ran");
    SaveExit(container, record);
    env_.changed(container, EventType::kStopped);
  }
}

// The daemon may have died between the record of an exit and the executor's delete.
absl::Status Containers::DeleteWhatExitLeft(const Container& container) {
  const std::string cgroup = container.view()->record.cgroup_path();
  const Handler* handler = container.pod()->handler();
  if (handler == nullptr || cgroup.empty() || !env_.cgroups->Exists(cgroup)) return absl::OkStatus();
  RETURN_IF_ERROR(Failpoint("container.recover.delete"));
  return Annotate(handler->executor->Delete(ExecutorCall(), RequestFor(container)), "delete what its exit left");
}

}  // namespace berth
