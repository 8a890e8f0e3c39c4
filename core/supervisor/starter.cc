#include "core/supervisor/starter.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <utility>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/supervisor/wire/messages.h"

namespace berth {
namespace {

// Left to the pod that has just come: starting a spare would take the processors that making the pod needs.
constexpr int64_t kPauseNs = 100'000'000;
constexpr int64_t kRetryNs = 60'000'000'000;

}  // namespace

SupervisorStarter::SupervisorStarter(std::string program)
    : program_(std::move(program)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), thread_([this] { Work(); }) {}

SupervisorStarter::~SupervisorStarter() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  WakeUp();
  thread_.join();
}

void SupervisorStarter::KeepSpare() {
  {
    std::lock_guard lock(mutex_);
    keeps_spare_ = true;
    due_ns_ = MonotonicNanos();
  }
  WakeUp();
}

void SupervisorStarter::KeepNoSpare() {
  std::optional<StartedCommand> spare;  // ends here, outside the lock
  std::lock_guard lock(mutex_);
  keeps_spare_ = false;
  due_ns_ = kNever;
  spare.swap(spare_);
}

absl::StatusOr<CommandResult> SupervisorStarter::Run(const std::string& id, Command command) {
  command.argv = {program_, id};
  std::optional<StartedCommand> spare;
  if (id.size() == wire::kSpareName.size()) spare = TakeSpare();
  return spare.has_value() ? spare->Finish(command) : RunCommand(command);
}

std::optional<StartedCommand> SupervisorStarter::TakeSpare() {
  std::optional<StartedCommand> spare;
  {
    std::lock_guard lock(mutex_);
    spare.swap(spare_);
    if (keeps_spare_) due_ns_ = MonotonicNanos() + kPauseNs;
  }
  WakeUp();
  if (spare.has_value() && spare->HasEnded()) spare.reset();
  return spare;
}

void SupervisorStarter::WakeUp() const { eventfd_write(wake_.get(), 1); }

void SupervisorStarter::Work() {
  while (wake_) {
    int64_t due;
    pollfd fds[] = {{wake_.get(), POLLIN, 0}, {-1, POLLIN, 0}};
    {
      std::lock_guard lock(mutex_);
      if (closing_) break;
      due = due_ns_;
      // Taken meanwhile, its descriptor may be another's by the time that it is looked at: then it is looked at in
      // vain.
      if (spare_.has_value()) fds[1].fd = spare_->pid_fd();
    }
    const int64_t left_ns = due == kNever ? -1 : std::max<int64_t>(due - MonotonicNanos(), 0);
    const timespec left{static_cast<time_t>(left_ns / 1'000'000'000), static_cast<long>(left_ns % 1'000'000'000)};
    if (left_ns != 0) ppoll(fds, 2, left_ns < 0 ? nullptr : &left, nullptr);
    eventfd_t count;
    if (fds[0].revents != 0) eventfd_read(wake_.get(), &count);
    if (fds[1].revents != 0) BuryDeadSpare();
    if (MonotonicNanos() >= due) StartSpare();
  }
  spare_.reset();  // here: this thread lives until it has ended
}

void SupervisorStarter::StartSpare() {
  {
    std::lock_guard lock(mutex_);
    if (due_ns_ > MonotonicNanos()) return;
    due_ns_ = kNever;
    if (spare_.has_value()) return;
  }
  Command command;
  command.argv = {program_, std::string(wire::kSpareName)};
  auto started = StartedCommand::Start(command);
  if (!started.ok()) LogDebug("start a supervisor ahead of its pod", {{"error", started.status().message()}});
  std::lock_guard lock(mutex_);
  if (!keeps_spare_) return;
  if (started.ok()) {
    spare_.emplace(*std::move(started));
  } else {
    due_ns_ = std::min(due_ns_, MonotonicNanos() + kRetryNs);
  }
}

void SupervisorStarter::BuryDeadSpare() {
  std::optional<StartedCommand> spare;
  {
    std::lock_guard lock(mutex_);
    if (!spare_.has_value() || !spare_->HasEnded()) return;
    spare.swap(spare_);
    due_ns_ = std::min(due_ns_, MonotonicNanos() + kRetryNs);
  }
  Command command;
  command.argv = {program_};
  const auto result = spare->Finish(command);
  LogDebug("a supervisor that waited for its pod has died",
           {{"error", result.ok() ? result->err : std::string(result.status().message())}});
}

}  // namespace berth
