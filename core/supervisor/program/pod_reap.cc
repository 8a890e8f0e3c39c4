// Who waits for whom. The executor's commands leave the processes they start behind as our children, which may end
// before the command itself does. So while any command runs only children that are known by their number are waited
// for; a stranger stays a zombie, its number taken, until the command's pid file has said whether it is one of ours.
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/supervisor/program/pod.h"

namespace berth::supervisor {

Error Pod::WatchSignals() {
  // The rest is not for us: terminals we open never become ours, and writes report EPIPE.
  for (int ignored : {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM, SIGTSTP, SIGTTIN, SIGTTOU}) {
    signal(ignored, SIG_IGN);
  }
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_SETMASK, &set, nullptr);
  signals_.reset(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return Errno("signalfd");
  signals_watch_ = Watch(&loop_, signals_.get(), EPOLLIN, [this](uint32_t) { OnSignal(); });
  return Ok();
}

void Pod::OnSignal() {
  signalfd_siginfo info;
  bool child = false;
  while (read(signals_.get(), &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
    child = child || info.ssi_signo == SIGCHLD;
    // The node goes down: what runs in the pod is told the same, and we see it out.
    terminating_ = terminating_ || info.ssi_signo == SIGTERM;
  }
  if (child) Reap();
}

void Pod::Reap() {
  // A command that has ended may make a process known that has ended too.
  while (ReapKnown()) {
  }
  if (!commands_.empty()) return;
  int wait_status;
  for (pid_t pid; (pid = waitpid(-1, &wait_status, WNOHANG | __WALL)) > 0;) OnEnded(pid, wait_status);
}

bool Pod::ReapKnown() {
  std::vector<pid_t> known;
  for (const auto& command : commands_) known.push_back(command->pid);
  for (const auto& container : containers_) {
    if (container->mounter.pid > 0) known.push_back(container->mounter.pid);
    if (container->process.pid > 0) known.push_back(container->process.pid);
    for (const auto& exec : container->execs) {
      if (exec->process.pid > 0) known.push_back(exec->process.pid);
    }
  }
  if (parts_.init_pid > 0) known.push_back(parts_.init_pid);
  bool any = false;
  for (pid_t pid : known) {
    int wait_status;
    if (waitpid(pid, &wait_status, WNOHANG | __WALL) == pid) any = OnEnded(pid, wait_status) || any;
  }
  return any;
}

bool Pod::OnEnded(pid_t pid, int wait_status) {
  for (size_t i = 0; i < commands_.size(); ++i) {
    if (commands_[i]->pid != pid) continue;
    std::unique_ptr<Command> command = std::move(commands_[i]);
    commands_.erase(commands_.begin() + static_cast<long>(i));
    FinishCommand(std::move(command), wait_status);
    return true;
  }
  for (const auto& container : containers_) {
    if (container->mounter.pid == pid) return OnMounterEnded(container.get()), true;
    if (container->process.pid == pid) return OnContainerEnded(container.get(), wait_status), true;
    for (const auto& exec : container->execs) {
      if (exec->process.pid == pid) return OnExecEnded(container.get(), exec.get(), wait_status), true;
    }
  }
  if (pid == parts_.init_pid) parts_.init_pid = 0;  // its namespace and all containers in it end with it
  return false;
}

void Pod::OnMounterEnded(Container* container) {
  container->mounter.pid = 0;                                             // not ours to kill any more
  if (container->mounter.watch.active()) OnMounterAnswer(container->id);  // its last words
  if (container->process.state == State::kFailed) return;
  AbandonMounter(container, Fail(wire::kInternal, "the child that holds the mounts died"));
}

void Pod::OnContainerEnded(Container* container, int wait_status) {
  // What it wrote last is in the log before anyone hears that it ended.
  container->out.Drain();
  container->err.Drain();
  container->stdin_hold.reset();
  RecordExit(&container->process, wait_status, container->id, "");
}

void Pod::OnExecEnded(Container* container, Exec* exec, int wait_status) {
  RecordExit(&exec->process, wait_status, container->id, exec->id);
}

bool Pod::IsKnown(pid_t pid) const {
  if (pid == parts_.init_pid) return true;
  for (const auto& command : commands_) {
    if (command->pid == pid) return true;
  }
  for (const auto& container : containers_) {
    if (container->mounter.pid == pid || container->process.pid == pid) return true;
    for (const auto& exec : container->execs) {
      if (exec->process.pid == pid) return true;
    }
  }
  return false;
}

void Pod::RecordExit(Process* process, int wait_status, const std::string& container_id, const std::string& exec_id) {
  process->state = State::kExited;
  process->pid = 0;
  process->pidfd.reset();
  process->wait_status = wait_status;
  process->exit_unix_ns = UnixNanos();
  process->sequence = next_sequence_++;
  // A record that can't be written (no memory for /run) is no reason to keep the exit to ourselves.
  std::string text = Concat({Decimal(wait_status), " ", Decimal(process->exit_unix_ns), "\n"});
  Error unrecorded = WriteAtomic(parts_.exits.get(), ExitName(container_id, exec_id).c_str(), text);
  (void)unrecorded;
  wire::Exit exit;
  exit.sequence = process->sequence;
  exit.container_id = container_id;
  exit.exec_id = exec_id;
  exit.wait_status = wait_status;
  exit.at_unix_ns = process->exit_unix_ns;
  peers_.Broadcast(wire::MakeFrame(wire::Type::kExit, 0, exit));
}

// At most once a second.
void Pod::TellDrops() {
  int64_t now = MonotonicNanos();
  if (now - drops_told_at_ < 1000000000) return;
  for (const auto& container : containers_) {
    uint64_t drops = container->log.dropped_lines();
    if (drops == container->reported_drops) continue;
    container->reported_drops = drops;
    drops_told_at_ = now;
    peers_.Broadcast(wire::MakeFrame(wire::Type::kLogDrops, 0, wire::LogDrops{container->id, drops}));
  }
}

bool Pod::Idle() const {
  if (!commands_.empty()) return false;
  for (const auto& container : containers_) {
    if (container->process.state == State::kRunning || container->mounter.pid > 0) return false;
    for (const auto& exec : container->execs) {
      if (exec->process.state == State::kRunning) return false;
    }
  }
  return true;
}

void Pod::EndInit() {
  if (parts_.init_pid <= 0) return;
  kill(parts_.init_pid, SIGKILL);
  // It ends only after all of its namespace has, and something there may hang in a dead file system.
  constexpr int kTries = 100;
  for (int i = 0; i < kTries && waitpid(parts_.init_pid, nullptr, WNOHANG | __WALL) == 0; ++i) usleep(10000);
  parts_.init_pid = 0;
}

}  // namespace berth::supervisor
