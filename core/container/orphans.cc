// Containers whose pod's supervisor is dead: nobody waits for their processes any more, nobody writes their logs.
//
// They are ended, and are reported as ended only when nothing of them runs. An exit that the supervisor has recorded
// before it died is reported as it was.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/container/containers.h"
#include "core/pod/pod_config.h"

namespace berth {
namespace {

// What was killed has to be gone in.
constexpr int64_t kKillPatience = 10'000'000'000;
constexpr useconds_t kFirstPause = 1000, kLongestPause = 100'000;

}  // namespace

void Containers::OnSupervisorGone(const std::shared_ptr<Pod>& pod) {
  for (const auto& container : WholePod(*pod)) {
    UndoWhatWasInFlight(container);
    EndOrphan(container).IgnoreError();
  }
}

absl::Status Containers::EndOrphan(const std::shared_ptr<Container>& container) {
  state::v1::Container record = container->view()->record;
  if (record.state() != state::v1::Container::RUNNING && record.state() != state::v1::Container::CREATED) {
    return absl::OkStatus();
  }
  const bool lived = env_.cgroups->Populated(record.cgroup_path());
  if (absl::Status killed = KillProcesses(*container); !killed.ok()) {
    LogError("end a container whose supervisor is gone; it is tried again",
             {{"container", container->id()}, {"error", killed.message()}});
    retries_.Failed(container->id(), [this, container] {
      container->pod()->queue().Add([this, container] { EndOrphan(container).IgnoreError(); });
    });
    return killed;
  }
  retries_.Succeeded(container->id());
  EndExecs(container);
  if (const std::optional<SupervisedExit> exit = RecordedExit(*container)) {
    RecordExit(*container, *exit, &record);
  } else {
    record.set_finished_at(UnixNanos());
    record.set_exit_code(lived ? 128 + SIGKILL : 255);
    record.set_reason(lived ? "Error" : "Unknown");
    record.set_message(lived ? "the pod's supervisor died; the container was killed"
                             : "the container ended while nobody watched it, with its pod's supervisor");
  }
  Exited(container, std::move(record));
  return absl::OkStatus();
}

std::optional<SupervisedExit> Containers::RecordedExit(const Container& container) const {
  const auto exits = ReadExitRecords(PodPaths(env_.config->state, container.pod()->id()).directory);
  if (!exits.ok()) {
    LogError("read exit records", {{"pod", container.pod()->id()}, {"error", exits.status().message()}});
    return std::nullopt;
  }
  for (const SupervisedExit& exit : *exits) {
    if (exit.container_id == container.id() && exit.exec_id.empty()) return exit;
  }
  return std::nullopt;
}

// By the executor, which knows what is not in the cgroup, such as a machine; then by the cgroup, which has everything
// else.
absl::Status Containers::KillProcesses(const Container& container) {
  RETURN_IF_ERROR(Failpoint("container.orphan.kill"));
  const std::string cgroup = container.view()->record.cgroup_path();
  const Handler* handler = container.pod()->handler();
  if (handler != nullptr && (cgroup.empty() || (handler->executor->capabilities() & kSupervised) == 0)) {
    RETURN_IF_ERROR(handler->executor->Kill(ExecutorCall(), RequestFor(container), SIGKILL, /*all=*/true));
  }
  if (cgroup.empty()) return absl::OkStatus();
  const int64_t deadline = MonotonicNanos() + kKillPatience;
  for (useconds_t pause = kFirstPause; env_.cgroups->Populated(cgroup); pause = std::min(2 * pause, kLongestPause)) {
    RETURN_IF_ERROR(env_.cgroups->Kill(cgroup));
    usleep(pause);
    if (MonotonicNanos() < deadline) continue;
    return absl::DeadlineExceededError(
        absl::StrCat("processes of container ", container.id(), " still run ", kKillPatience / 1'000'000'000,
                     " s after SIGKILL; one in uninterruptible sleep (state D) waits for its disk or server"));
  }
  return absl::OkStatus();
}

// Whoever waits for one learns that it was killed, as it was.
void Containers::EndExecs(const std::shared_ptr<Container>& container) {
  for (auto& [id, told] : container->TakeExecs()) {
    SupervisedExit exit;
    exit.container_id = container->id();
    exit.exec_id = id;
    exit.wait_status = SIGKILL;
    exit.at_unix_ns = UnixNanos();
    told(exit);
  }
}

}  // namespace berth
