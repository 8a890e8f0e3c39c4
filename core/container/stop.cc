// StopContainer: the stop signal, patience, then SIGKILL; answered when the exit has been recorded.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/container/containers.h"

namespace berth {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
// A process in uninterruptible sleep outlives SIGKILL: after this the caller is told, and may come again.
constexpr int64_t kKillPatience = 30 * kSecond;

}  // namespace

void Containers::Stop(const std::string& id, int64_t timeout_seconds, Done done) {
  auto found = Find(id);
  if (!found.ok()) return done(absl::IsNotFound(found.status()) ? absl::OkStatus() : found.status());
  // Beyond ten years it is no patience but an overflow.
  const int64_t seconds = std::clamp<int64_t>(timeout_seconds, 0, int64_t{10} * 365 * 86400);
  (*found)->pod()->queue().Add(
      [this, container = *found, seconds, done = std::move(done)] { StopOnQueue(container, seconds * kSecond, done); });
}

void Containers::StopOnQueue(const std::shared_ptr<Container>& container, int64_t patience_ns, Done done) {
  if (container->state() != state::v1::Container::RUNNING) return done(absl::OkStatus());
  if (container->pod()->link() == SupervisorLink::kNone) {
    return done(Annotate(EndOrphan(container), absl::StrCat("stop container ", container->id())));
  }
  const int64_t kill_at = MonotonicNanos() + patience_ns;
  std::optional<StopInProgress>& stop = container->stop();
  if (stop) {
    stop->waiting.push_back(std::move(done));
    if (kill_at < stop->kill_at_ns && !stop->killed) {
      stop->kill_at_ns = kill_at;
      ArmKill(container);
    }
    return;
  }
  stop.emplace();
  stop->waiting.push_back(std::move(done));
  stop->kill_at_ns = kill_at;
  if (patience_ns == 0) return Kill(container);
  const std::shared_ptr<Supervisor> supervisor = container->pod()->supervisor();
  absl::Status status = Failpoint("container.stop.signal");
  if (status.ok() && supervisor == nullptr) status = absl::UnavailableError("the pod's supervisor is gone");
  if (status.ok()) {
    status = supervisor->Signal(ExecutorCall(), container->id(), "", container->view()->record.stop_signal());
  }
  if (status.ok()) status = Failpoint("container.stop.signalled");
  if (!status.ok()) return EndStop(container, Annotate(status, absl::StrCat("stop container ", container->id())));
  ArmKill(container);
}

void Containers::ArmKill(const std::shared_ptr<Container>& container) {
  StopInProgress& stop = *container->stop();
  if (stop.timer != 0) env_.timers->Cancel(stop.timer);
  stop.timer = env_.timers->At(stop.kill_at_ns, [this, container] {
    container->pod()->queue().Add([this, container] {
      if (!container->stop() || container->stop()->kill_at_ns > MonotonicNanos()) return;
      if (!container->stop()->killed) return Kill(container);
      EndStop(container,
              absl::DeadlineExceededError(absl::StrCat(
                  "stop container ", container->id(), ": it still runs ", kKillPatience / kSecond,
                  " s after SIGKILL; a process in uninterruptible sleep (state D) waits for its disk or server")));
    });
  });
}

void Containers::Kill(const std::shared_ptr<Container>& container) {
  StopInProgress& stop = *container->stop();
  stop.killed = true;
  stop.kill_at_ns = MonotonicNanos() + kKillPatience;
  absl::Status status = Failpoint("container.stop.kill_all");
  const Handler* handler = container->pod()->handler();
  const auto& namespaces = container->view()->config->linux().security_context().namespace_options();
  if (status.ok() && namespaces.pid() != runtime::v1::NamespaceMode::CONTAINER && handler != nullptr) {
    // Without a PID namespace of its own the others do not die with the first process.
    status = handler->executor->Kill(ExecutorCall(), RequestFor(*container), SIGKILL, /*all=*/true);
    if (!status.ok()) LogWarn("kill all of a container", {{"container", container->id()}, {"error", status.message()}});
  }
  const std::shared_ptr<Supervisor> supervisor = container->pod()->supervisor();
  status = Failpoint("container.stop.kill");
  if (status.ok()) {
    status = supervisor == nullptr ? absl::UnavailableError("the pod's supervisor is gone")
                                   : supervisor->Signal(ExecutorCall(), container->id(), "", SIGKILL);
  }
  if (status.ok()) status = Failpoint("container.stop.killed");
  if (!status.ok()) return EndStop(container, Annotate(status, absl::StrCat("kill container ", container->id())));
  ArmKill(container);
}

void Containers::EndStop(const std::shared_ptr<Container>& container, const absl::Status& status) {
  if (!container->stop()) return;
  StopInProgress stop = *std::exchange(container->stop(), std::nullopt);
  if (stop.timer != 0) env_.timers->Cancel(stop.timer);
  for (const Done& done : stop.waiting) done(status);
}

// Each container is stopped at once: the kubelet stops them with their grace periods before it stops the pod.
void Containers::StopAll(const std::string& pod_id, Done done) {
  struct Count {
    std::mutex mutex;
    size_t left;
    absl::Status first = absl::OkStatus();
    Done done;
  };
  const std::vector<std::shared_ptr<Container>> all = OfPod(pod_id);
  if (all.empty()) return done(absl::OkStatus());
  auto count = std::make_shared<Count>();
  count->left = all.size();
  count->done = std::move(done);
  const Done one = [count](absl::Status status) {
    bool last;
    {
      std::lock_guard lock(count->mutex);
      count->first.Update(status);
      last = --count->left == 0;
    }
    if (last) count->done(count->first);
  };
  for (const auto& container : all) {
    container->pod()->queue().Add([this, container, one] {
      if (container->state() != state::v1::Container::CREATED) return StopOnQueue(container, 0, one);
      // Never started: its first process waits for ever, so the executor's state goes and the exit is recorded.
      one(Abandon(container));
    });
  }
}

}  // namespace berth
