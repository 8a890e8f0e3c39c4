// RemoveContainer, and the undoing of a CreateContainer that failed.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/failpoint.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/container/container_config.h"
#include "core/container/containers.h"

namespace berth {
namespace {

std::string NameKeyOf(const Container& container) {
  return ContainerNameKey(container.pod()->id(), container.view()->config->metadata());
}

}  // namespace

void Containers::Remove(const std::string& id, Done done) {
  auto found = Find(id);
  if (!found.ok()) return done(absl::IsNotFound(found.status()) ? absl::OkStatus() : found.status());
  RemoveFound(*found, std::move(done));
}

void Containers::RemoveFound(const std::shared_ptr<Container>& container, Done done) {
  container->pod()->queue().Add([this, container, done = std::move(done)] {
    StopOnQueue(container, 0, [this, container, done](absl::Status stopped) {
      if (!stopped.ok()) return done(stopped);
      container->pod()->queue().Add([this, container, done] { RemoveOnQueue(container, done); });
    });
  });
}

void Containers::RemoveOnQueue(const std::shared_ptr<Container>& container, Done done) {
  if (!table_.Find(container->id()).ok()) return done(absl::OkStatus());  // a second Remove was faster
  if (container->state() == state::v1::Container::RUNNING) {
    return done(absl::FailedPreconditionError(
        absl::StrCat("remove container ", container->id(), ": it was started meanwhile; stop it first")));
  }
  // The intent: what is removed from here on is nothing to go back to.
  state::v1::Container record = container->view()->record;
  record.set_removing(true);
  if (absl::Status saved = Save(container, record); !saved.ok()) {
    // A full disk is no reason to keep what fills it.
    LogWarn("save that a container is being removed", {{"container", container->id()}, {"error", saved.message()}});
  }
  if (absl::Status status = Discard(container); !status.ok()) {
    return done(Annotate(status, absl::StrCat("remove container ", container->id())));
  }
  LogInfo("container is removed", {{"container", container->id()}});
  env_.changed(container, EventType::kDeleted);
  done(absl::OkStatus());
}

// Everything a container has, in the reverse order of its making. Each part may be gone already.
absl::Status Containers::Unmake(const std::shared_ptr<Container>& container) {
  const std::shared_ptr<const ContainerView> view = container->view();
  const state::v1::Container& record = view->record;
  const Handler* handler = container->pod()->handler();
  if (handler == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat("its runtime handler ",
                                                      container->pod()->view()->record.runtime_handler(),
                                                      " is not configured any more; add it again"));
  }
  if (container->pod()->link() == SupervisorLink::kLetGo) {
    return absl::UnavailableError("its pod's supervisor lives, but this daemon has no connection to it");
  }
  ASSIGN_OR_RETURN(const bool being_made, IsBeingMade(*container));
  if (being_made) return absl::UnavailableError("the executor is still making it");
  RETURN_IF_ERROR(Failpoint("container.unmake.executor"));
  RETURN_IF_ERROR(handler->executor->Delete(ExecutorCall(), RequestFor(*container)));
  if (auto supervisor = container->pod()->supervisor()) {
    RETURN_IF_ERROR(Failpoint("container.unmake.forget"));
    RETURN_IF_ERROR(supervisor->Forget(ExecutorCall(), container->id(), ""));
  }
  RETURN_IF_ERROR(Failpoint("container.unmake.snapshot"));
  if (!record.snapshot_key().empty()) {
    absl::Status removed = handler->snapshotter->Remove(ExecutorCall(), record.snapshot_key());
    if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
    if (removed.ok()) cleaner_.Request(handler->snapshotter);
  }
  env_.images->Unpin(container->id());
  RETURN_IF_ERROR(Failpoint("container.unmake.bundle"));
  RETURN_IF_ERROR(RemoveTree(BundleOf(container->id())));
  return Failpoint("container.unmake.done");
}

absl::StatusOr<bool> Containers::IsBeingMade(const Container& container) const {
  const std::shared_ptr<Supervisor> supervisor = container.pod()->supervisor();
  if (container.state() != state::v1::Container::CREATING || supervisor == nullptr) return false;
  ASSIGN_OR_RETURN(const std::vector<SupervisedProcess> known, supervisor->List(ExecutorCall()));
  return std::any_of(known.begin(), known.end(), [&](const SupervisedProcess& process) {
    return process.container_id == container.id() && process.exec_id.empty() &&
           process.state == SupervisedState::kCreating;
  });
}

absl::Status Containers::ForgetRow(const std::string& id) {
  Transaction change;
  change.Delete(Table::kContainers, id);
  return env_.store->Commit(change, Durability::kDurable);
}

absl::Status Containers::Discard(const std::shared_ptr<Container>& container) {
  RETURN_IF_ERROR(Unmake(container));
  // What still waits on the queue, the exit of one that was never started above all, must not write the row again.
  state::v1::Container record = container->view()->record;
  record.set_state(state::v1::Container::EXITED);
  record.set_pid(0);
  container->set_record(record);
  RETURN_IF_ERROR(ForgetRow(container->id()));
  table_.Erase(container->id(), NameKeyOf(*container));
  return absl::OkStatus();
}

void Containers::Undo(const std::shared_ptr<Container>& container) {
  const std::string id = container->id(), name = NameKeyOf(*container);
  if (!table_.Find(id).ok()) return retries_.Succeeded(id);  // the removal of its pod was faster
  if (absl::Status undone = Unmake(container); !undone.ok()) {
    LogError("undo container; it is tried again", {{"container", id}, {"error", undone.message()}});
    retries_.Failed(id, [this, container] { container->pod()->queue().Add([this, container] { Undo(container); }); });
    return table_.ReleaseName(id, name);
  }
  retries_.Succeeded(id);
  state::v1::Container record = container->view()->record;
  if (record.removing()) {
    record.set_state(state::v1::Container::EXITED);  // nothing that still looks at it may write its row again
    record.set_pid(0);
    container->set_record(record);
  }
  if (absl::Status row = ForgetRow(id); !row.ok()) {
    LogWarn("forget container; the next start tries again", {{"container", id}, {"error", row.message()}});
  }
  table_.Erase(id, name);
  // Clients knew of it, and the daemon that was removing it did not live to tell.
  if (record.removing()) env_.changed(container, EventType::kDeleted);
}

void Containers::RemoveAll(const std::string& pod_id, Done done) {
  // Also those whose making failed and could not be undone.
  std::vector<std::shared_ptr<Container>> all = table_.All();
  std::erase_if(all, [&](const auto& c) { return c->pod()->id() != pod_id; });
  if (all.empty()) return done(absl::OkStatus());
  // One after the other: they share the pod's queue anyway, and the first error ends it.
  RemoveFound(all.front(), [this, pod_id, done = std::move(done)](absl::Status status) {
    if (!status.ok()) return done(status);
    RemoveAll(pod_id, done);
  });
}

}  // namespace berth
