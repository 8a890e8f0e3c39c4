// ExecSync: one more process in a running container, its output collected.
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/container/containers.h"
#include "core/oci/process_spec.h"

namespace berth {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
// After the process has ended its pipes are read for this long more: a descendant may hold them for ever.
constexpr int64_t kDrain = kSecond;
// What a process that was killed has to be seen dead in.
constexpr int64_t kKillPatience = 10 * kSecond;

// Carries the exit from the supervisor's loop to the thread that waits for it.
struct ExitSlot {
  UniqueFd event{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::mutex mutex;
  std::optional<int> wait_status;

  void Set(int status) {
    std::lock_guard lock(mutex);
    wait_status = status;
    eventfd_write(event.get(), 1);
  }
  std::optional<int> Get() {
    std::lock_guard lock(mutex);
    return wait_status;
  }
};

class Collector {
 public:
  // `give_up`: readable when nobody waits for the result any more. Borrowed.
  Collector(PreparedExec streams, std::shared_ptr<ExitSlot> exit, uint64_t limit, int give_up)
      : give_up_(give_up),
        out_(std::move(streams.out)),
        err_(std::move(streams.err)),
        exit_(std::move(exit)),
        limit_(limit) {}

  // True once the process has ended; false when the deadline came first.
  bool Run(int64_t deadline_ns) {
    bool ended = exit_->Get().has_value();
    if (ended) deadline_ns = std::min(deadline_ns, MonotonicNanos() + kDrain);
    while (!ended || out_ || err_) {
      pollfd fds[] = {{ended ? -1 : exit_->event.get(), POLLIN, 0},
                      {out_.get(), POLLIN, 0},
                      {err_.get(), POLLIN, 0},
                      {give_up_, POLLIN, 0}};
      const int64_t left = deadline_ns - MonotonicNanos();
      if (left <= 0) return ended;
      const timespec timeout{static_cast<time_t>(left / kSecond), static_cast<long>(left % kSecond)};
      if (ppoll(fds, std::size(fds), &timeout, nullptr) < 0) continue;
      if (fds[3].revents != 0) return ended;
      if (fds[1].revents != 0) Read(out_, result.out);
      if (fds[2].revents != 0) Read(err_, result.err);
      if (!ended && exit_->Get()) {
        ended = true;
        deadline_ns = std::min(deadline_ns, MonotonicNanos() + kDrain);
      }
    }
    return ended;
  }

  ExecSyncResult result;

 private:
  void Read(UniqueFd& fd, std::string& into) const {
    char buffer[32768];
    const ssize_t n = read(fd.get(), buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) return;
    if (n <= 0) return fd.reset();
    into.append(buffer, std::min<uint64_t>(n, limit_ - into.size()));
  }

  const int give_up_;
  UniqueFd out_, err_;
  const std::shared_ptr<ExitSlot> exit_;
  const uint64_t limit_;
};

absl::Status CheckCommand(const std::vector<std::string>& command) {
  if (command.empty() || command.front().empty()) return absl::InvalidArgumentError("exec: the command is empty");
  for (const std::string& word : command) {
    if (word.find('\0') != word.npos) return absl::InvalidArgumentError("exec: the command contains a NUL byte");
  }
  return absl::OkStatus();
}

}  // namespace

void Containers::ExecSync(const std::string& id, const std::vector<std::string>& command, int64_t timeout_seconds,
                          DoneWithExec done) {
  auto found = Find(id);
  if (!found.ok()) return done(found.status());
  if (absl::Status bad = CheckCommand(command); !bad.ok()) return done(bad);
  if (timeout_seconds < 0) return done(absl::InvalidArgumentError("exec: the timeout is negative"));
  const Task run = [this, container = *found, command, timeout_seconds, done] {
    done(RunExec(container, command, timeout_seconds));
  };
  if (!env_.exec_pool->TryAdd(run, static_cast<size_t>(env_.config->daemon.exec_waiting))) {
    done(absl::ResourceExhaustedError(
        absl::StrCat("exec in container ", (*found)->id(), ": ", env_.config->daemon.exec_waiting,
                     " others wait already; try again later, or raise [daemon] exec_waiting and exec_threads")));
  }
}

absl::StatusOr<ExecSyncResult> Containers::RunExec(const std::shared_ptr<Container>& container,
                                                   const std::vector<std::string>& command, int64_t timeout_seconds) {
  const std::string what = absl::StrCat("exec in container ", container->id());
  const Handler* handler = container->pod()->handler();
  if (container->state() != state::v1::Container::RUNNING || handler == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(what, ": it is not running"));
  }
  auto attached = container->pod()->SupervisorOrWhyNot();
  if (!attached.ok()) return Annotate(attached.status(), what);
  const std::shared_ptr<Supervisor> supervisor = *std::move(attached);
  const int64_t deadline = timeout_seconds == 0
                               ? std::numeric_limits<int64_t>::max()
                               : MonotonicNanos() + std::min<int64_t>(timeout_seconds, 1 << 30) * kSecond;
  ExecRequest request;
  request.container_id = container->id();
  request.pod_id = container->pod()->id();
  request.exec_id = env_.ids->New().substr(0, 32);
  request.process_file = absl::StrCat(BundleOf(container->id()), "/exec-", request.exec_id, ".json");
  request.pid_file = absl::StrCat(BundleOf(container->id()), "/exec-", request.exec_id, ".pid");
  const absl::Cleanup remove_files = [&] {
    // no failpoint: files of the bundle, which goes with them
    unlink(request.process_file.c_str());
    unlink(request.pid_file.c_str());  // no failpoint: as above
  };
  ASSIGN_OR_RETURN(const std::string spec, ReadFile(BundleOf(container->id()) + "/config.json", 16 << 20));
  ASSIGN_OR_RETURN(const std::string process, oci::ExecProcess(spec, command, /*terminal=*/false));
  RETURN_IF_ERROR(Failpoint("container.exec.process_file"));
  RETURN_IF_ERROR(WriteFileAtomic(request.process_file, process, 0600, Durability::kVolatile));

  ExecPrepare prepare;
  prepare.container_id = container->id();
  prepare.exec_id = request.exec_id;
  RETURN_IF_ERROR(Failpoint("container.exec.prepare"));
  ASSIGN_OR_RETURN(PreparedExec streams, supervisor->PrepareExec(ExecutorCall(), prepare));
  auto exit = std::make_shared<ExitSlot>();
  container->AddExec(request.exec_id, [exit](const SupervisedExit& e) { exit->Set(e.wait_status); });
  absl::Status started = Failpoint("container.exec.start");
  if (started.ok()) started = handler->executor->Exec(ExecutorCall(), request, nullptr).status();
  if (!started.ok()) {
    container->TakeExec(request.exec_id);
    // no failpoint: the supervisor drops by itself what no daemon waits for
    supervisor->Forget(ExecutorCall(), container->id(), request.exec_id).IgnoreError();
    return Annotate(started, what);
  }
  Failpoint("container.exec.started").IgnoreError();
  Collector collector(std::move(streams), exit, env_.config->container.exec_sync_output_bytes, shutdown_.get());
  if (!collector.Run(deadline)) {
    Failpoint("container.exec.kill").IgnoreError();
    supervisor->KillExec(ExecutorCall(), container->id(), request.exec_id).IgnoreError();
    collector.Run(MonotonicNanos() + kKillPatience);
    container->TakeExec(request.exec_id);
    if (MonotonicNanos() < deadline) return absl::UnavailableError(absl::StrCat(what, ": the daemon is shutting down"));
    return absl::DeadlineExceededError(
        absl::StrCat(what, ": the command did not end within ", timeout_seconds, " s and was killed"));
  }
  Failpoint("container.exec.ended").IgnoreError();
  const int wait_status = *exit->Get();
  collector.result.exit_code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
  return std::move(collector.result);
}

}  // namespace berth
