#include "tools/integration/daemon_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/time/clock.h"
#include "core/base/status.h"

namespace berth {

absl::StatusOr<DaemonProcess> DaemonProcess::Start(const std::string& program, const std::string& config,
                                                   const std::string& log,
                                                   const std::vector<std::string>& environment) {
  return Start({program, "serve", "--config", config}, log, environment);
}

absl::StatusOr<DaemonProcess> DaemonProcess::Start(std::vector<std::string> arguments, const std::string& log,
                                                   const std::vector<std::string>& environment) {
  const std::string program = arguments[0];
  std::vector<std::string> variables = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
  // One that is built with a sanitizer is told the same as the test.
  if (const char* options = getenv("TSAN_OPTIONS"); options != nullptr) {
    variables.push_back(std::string("TSAN_OPTIONS=") + options);
  }
  variables.insert(variables.end(), environment.begin(), environment.end());
  std::vector<char*> argv, envp;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  for (std::string& variable : variables) envp.push_back(variable.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  DaemonProcess daemon;
  const int error = posix_spawn(&daemon.pid_, program.c_str(), &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return ErrnoStatus(error, "start " + program);
  return daemon;
}

DaemonProcess DaemonProcess::Adopt(pid_t pid) {
  DaemonProcess daemon;
  daemon.pid_ = pid;
  daemon.handle_.reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  return daemon;
}

bool DaemonProcess::HasEnded(int* status) const {
  *status = 0;
  if (!handle_) return waitpid(pid_, status, WNOHANG) != 0;
  pollfd ended{handle_.get(), POLLIN, 0};
  return poll(&ended, 1, 0) == 1;
}

void DaemonProcess::Kill() {
  if (pid_ == 0) return;
  kill(pid_, SIGKILL);
  WaitForEnd(absl::InfiniteDuration()).IgnoreError();
}

absl::StatusOr<int> DaemonProcess::Terminate(absl::Duration timeout) {
  if (pid_ == 0) return absl::FailedPreconditionError("no daemon runs");
  kill(pid_, SIGTERM);
  auto status = WaitForEnd(timeout);
  if (!status.ok()) Kill();
  return status;
}

absl::StatusOr<int> DaemonProcess::WaitForEnd(absl::Duration timeout) {
  const absl::Time end = absl::Now() + timeout;
  for (;;) {
    int status = 0;
    if (pid_ == 0 || HasEnded(&status)) {
      pid_ = 0;
      handle_.reset();
      return status;
    }
    if (absl::Now() >= end) return absl::DeadlineExceededError("the daemon did not end");
    absl::SleepFor(absl::Milliseconds(10));
  }
}

}  // namespace berth
