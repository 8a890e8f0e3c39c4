// What happens when a container's first process has ended.
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/container/containers.h"

namespace berth {
namespace {

// What a shell would say: 128 + the signal's number for a process killed by one.
int ExitCode(int wait_status) {
  if (WIFEXITED(wait_status)) return WEXITSTATUS(wait_status);
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : 255;
}

}  // namespace

void Containers::OnExit(const std::shared_ptr<Pod>& pod, const SupervisedExit& exit) {
  auto container = table_.Find(exit.container_id);
  if (container.ok() && exit.exec_id.empty()) {
    pod->queue().Add([this, container = *container, exit] { ExitOnQueue(container, exit); });
    return;
  }
  // Nobody is lost by acknowledging the rest: an exec whose daemon died has no client any more, nor has a container
  // that was removed.
  if (container.ok()) {
    if (OnExecExit told = (*container)->TakeExec(exit.exec_id)) told(exit);
  }
  pod->queue().Add([pod, sequence = exit.sequence] {
    Failpoint("container.exit.acknowledge_other").IgnoreError();
    if (auto supervisor = pod->supervisor()) supervisor->Acknowledge(sequence).IgnoreError();
  });
}

void Containers::ExitOnQueue(const std::shared_ptr<Container>& container, const SupervisedExit& exit) {
  state::v1::Container record = container->view()->record;
  if (record.state() == state::v1::Container::RUNNING || record.state() == state::v1::Container::CREATED) {
    RecordExit(*container, exit, &record);
    Exited(container, std::move(record));
  }
  Failpoint("container.exit.acknowledge").IgnoreError();
  if (auto supervisor = container->pod()->supervisor()) supervisor->Acknowledge(exit.sequence).IgnoreError();
}

void Containers::RecordExit(const Container& container, const SupervisedExit& exit,
                            state::v1::Container* record) const {
  record->set_finished_at(exit.at_unix_ns);
  record->set_exit_code(ExitCode(exit.wait_status));
  record->set_reason(record->exit_code() == 0 ? "Completed" : "Error");
  if (record->exit_code() != 0 && WasOomKilled(container, exit.wait_status)) record->set_reason("OOMKilled");
  record->set_pod_oom_kills(PodOomKills(container));
}

// Of the pod's group: version 2 counts there what happens below it.
uint64_t Containers::PodOomKills(const Container& container) const {
  return env_.cgroups->OomKills(container.pod()->view()->record.cgroup_parent());
}

// Asked before the executor removes the cgroup. A child's OOM kill may end the container too.
bool Containers::WasOomKilled(const Container& container, int wait_status) const {
  const std::string path = container.view()->record.cgroup_path();
  if (env_.cgroups->OomKills(path) > 0) return true;
  if (env_.cgroups->Exists(path) || !WIFSIGNALED(wait_status) || WTERMSIG(wait_status) != SIGKILL) return false;
  // systemd removes a scope as soon as it is empty. Then a kill in the pod that no other container accounts for was
  // its.
  uint64_t known = 0;
  for (const auto& other : OfPod(container.pod()->id())) {
    known = std::max<uint64_t>(known, other->view()->record.pod_oom_kills());
  }
  return PodOomKills(container) > known;
}

void Containers::SaveExit(const std::shared_ptr<Container>& container, const state::v1::Container& record) {
  if (absl::Status saved = Save(container, record); !saved.ok()) {
    // The record in memory is right all the same, and the supervisor's exit file tells the next daemon.
    LogError("save an exit", {{"container", container->id()}, {"error", saved.message()}});
    container->set_record(record);
  }
  LogInfo("container has ended",
          {{"container", container->id()}, {"exit_code", record.exit_code()}, {"reason", record.reason()}});
}

void Containers::Exited(const std::shared_ptr<Container>& container, state::v1::Container record) {
  record.set_state(state::v1::Container::EXITED);
  record.set_pid(0);
  record.clear_update();  // nothing of it is left to be put back
  SaveExit(container, record);
  absl::Status deleted = Failpoint("container.exit.delete");
  if (const Handler* handler = container->pod()->handler(); deleted.ok() && handler != nullptr) {
    deleted = handler->executor->Delete(ExecutorCall(), RequestFor(*container));
  }
  if (!deleted.ok()) {
    LogWarn("delete executor state; RemoveContainer tries again",
            {{"container", container->id()}, {"error", deleted.message()}});
  }
  env_.changed(container, EventType::kStopped);
  EndStop(container, absl::OkStatus());
}

absl::Status Containers::Abandon(const std::shared_ptr<Container>& container) {
  const Handler* handler = container->pod()->handler();
  if (handler != nullptr) {
    RETURN_IF_ERROR(Failpoint("container.abandon.delete"));
    RETURN_IF_ERROR(handler->executor->Delete(ExecutorCall(), RequestFor(*container)));
  }
  state::v1::Container record = container->view()->record;
  record.set_finished_at(UnixNanos());
  record.set_exit_code(137);
  record.set_reason("Error");
  record.set_message("the pod was stopped before the container was started");
  Exited(container, std::move(record));
  return absl::OkStatus();
}

}  // namespace berth
