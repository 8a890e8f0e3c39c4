#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/supervisor/program/pod.h"
#include "core/supervisor/program/spawn.h"

namespace berth::supervisor {
namespace {

constexpr size_t kMaxCommands = 256;

Error CheckRun(const wire::Run& m) {
  if (m.purpose > wire::kExec) return Fail(wire::kInvalidArgument, "no such purpose of a command");
  if (m.purpose != wire::kPlain && !IsCleanPath(m.pid_file)) {
    return Fail(wire::kInvalidArgument, "the pid file is not a clean path");
  }
  return CheckCommand(m.argv, m.env);
}

std::string ReadWhatIsThere(int fd) {
  Tail tail;
  char buffer[4096];
  for (ssize_t n; (n = read(fd, buffer, sizeof(buffer))) > 0;)
    tail.Add(std::string_view(buffer, static_cast<size_t>(n)));
  return tail.Take();
}

// OK when the program was executed.
Error ExecuteError(int failure) {
  char text[1024];
  SetNonBlocking(failure);
  ssize_t n = read(failure, text, sizeof(text));
  if (n <= 0) return Ok();
  uint32_t code = static_cast<uint8_t>(text[0]);
  return Fail(code != wire::kOk && code <= wire::kMaxCode ? code : static_cast<uint32_t>(wire::kInternal),
              std::string(text + 1, static_cast<size_t>(n - 1)));
}

bool IsOurChild(pid_t pid) {
  siginfo_t info;
  return waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0;
}

}  // namespace

void Pod::Run(Waiting from, const wire::Run& m) {
  Error error = StartCommand(from, m);
  if (!error.ok()) ReplyError(from, error);
}

// The answer follows from FinishCommand.
Error Pod::StartCommand(Waiting from, const wire::Run& m) {
  BERTH_TRY(CheckRun(m));
  if (commands_.size() >= kMaxCommands) return Fail(wire::kResourceExhausted, "too many commands at once");
  auto command = std::make_unique<Command>();
  command->waiting = from;
  command->purpose = m.purpose;
  command->container_id = m.container_id;
  command->exec_id = m.exec_id;
  command->pid_file = m.pid_file;
  command->deadline = DeadlineAfter(m.timeout_ns);
  // A pid left in it by an earlier command would be taken for this one's.
  if (m.purpose != wire::kPlain && unlink(m.pid_file.c_str()) != 0 && errno != ENOENT) {
    return Errno(Concat({"remove the old ", m.pid_file}));
  }
  Error error = m.purpose == wire::kPlain    ? StartPlain(m, command.get())
                : m.purpose == wire::kCreate ? StartCreate(m, command.get())
                                             : StartExec(m, command.get());
  if (error.ok()) commands_.push_back(std::move(command));
  return error;
}

// A command whose standard output and error are ours to read.
Error Pod::CaptureStart(Command* command, const wire::Run& m) {
  Pipe out, err;
  BERTH_TRY(MakePipe(&out));
  BERTH_TRY(MakePipe(&err));
  UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!null) return Errno("open /dev/null");
  Container* container = m.purpose == wire::kExec ? FindContainer(m.container_id) : nullptr;
  const pid_t member_of = container == nullptr ? 0 : container->process.pid;
  BERTH_TRY(Spawn(m, member_of, null.get(), out.write.get(), err.write.get(), &command->pid, &command->failure));
  command->out.Start(&loop_, std::move(out.read), [command](std::string_view d) { command->out_tail.Add(d); });
  command->err.Start(&loop_, std::move(err.read), [command](std::string_view d) { command->err_tail.Add(d); });
  return Ok();
}

Error Pod::StartPlain(const wire::Run& m, Command* command) { return CaptureStart(command, m); }

Error Pod::StartCreate(const wire::Run& m, Command* command) {
  Container* container = FindContainer(m.container_id);
  if (container == nullptr || container->process.state != State::kPrepared || !container->mounter.mounted) {
    return Fail(wire::kFailedPrecondition, Concat({"container ", m.container_id, " is not prepared"}));
  }
  wire::Packet packet;
  if (!wire::Pack(wire::MakeFrame(wire::Type::kRun, 1, m), &packet)) return Errno("pack the command");
  Mounter& mounter = container->mounter;
  if (int err = wire::SendPacket(mounter.socket.get(), packet); err != 0) {
    Error error = Errno(err, "hand the command to the child that holds the mounts");
    AbandonMounter(container, error);
    return error;
  }
  mounter.watch.Stop();
  command->pid = std::exchange(mounter.pid, 0);
  command->failure = std::move(mounter.socket);
  container->process.state = State::kCreating;
  return Ok();
}

Error Pod::StartExec(const wire::Run& m, Command* command) {
  Exec* exec = FindExec(FindContainer(m.container_id), m.exec_id);
  if (exec == nullptr || exec->process.state != State::kPrepared) {
    return Fail(wire::kFailedPrecondition, Concat({"exec ", m.exec_id, " is not prepared"}));
  }
  if (exec->terminal) {
    BERTH_TRY(CaptureStart(command, m));
  } else {
    const pid_t member_of = FindContainer(m.container_id)->process.pid;
    BERTH_TRY(Spawn(m, member_of, exec->in.get(), exec->out.get(), exec->err.get(), &command->pid, &command->failure));
  }
  exec->in.reset();
  exec->out.reset();
  exec->err.reset();
  exec->process.state = State::kCreating;
  return Ok();
}

void Pod::FinishCommand(std::unique_ptr<Command> command, int wait_status) {
  command->out.Drain();
  command->err.Drain();
  pid_t pid = StartedPid(*command);
  bool succeeded = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
  if (!succeeded && pid > 0) {
    kill(pid, SIGKILL);  // the executor says that it did not come to be
    pid = 0;
  }
  Error error = ExecuteError(command->failure.get());
  Error finish;
  if (command->purpose == wire::kCreate) finish = FinishCreate(command.get(), succeeded, pid);
  if (command->purpose == wire::kExec) finish = FinishExec(command.get(), succeeded, pid);
  if (error.ok()) error = std::move(finish);
  if (command->killed_for == wire::kDeadlineExceeded) {
    error =
        Fail(wire::kDeadlineExceeded, "the command did not end in time and was killed: " + command->err_tail.Take());
  } else if (command->killed_for == wire::kCancelled) {
    error = Fail(wire::kCancelled, "the command was cancelled");
  }
  if (!error.ok()) return ReplyError(command->waiting, error);
  wire::RunReply reply;
  reply.wait_status = wait_status;
  reply.pid = pid;
  reply.out = command->out_tail.Take();
  reply.err = command->err_tail.Take();
  Reply(command->waiting, reply);
}

Error Pod::FinishCreate(Command* command, bool succeeded, pid_t pid) {
  Container* container = FindContainer(command->container_id);
  if (container == nullptr) return Ok();
  container->out.Drain();
  container->err.Drain();
  command->out_tail.Add(container->create_out.Take());
  command->err_tail.Add(container->create_err.Take());
  UniqueFd master;
  Error error;
  if (succeeded && pid > 0 && container->terminal) error = container->console.Take(&master);
  if (succeeded && pid > 0 && error.ok()) error = Adopt(&container->process, pid);
  if (!succeeded || pid <= 0 || !error.ok()) {
    if (pid > 0) kill(pid, SIGKILL);
    container->process.state = State::kFailed;
    container->out.Stop();
    container->err.Stop();
    container->stdin_hold.reset();
    container->console.Close();
    return error;
  }
  auto to_log = [container](LogStream stream) {
    return [container, stream](std::string_view data) { container->log.Write(stream, data); };
  };
  auto finish = [container](LogStream stream) { return [container, stream]() { container->log.Finish(stream); }; };
  UniqueFd out = container->terminal ? std::move(master) : container->out.Release();
  UniqueFd err = container->terminal ? UniqueFd() : container->err.Release();
  container->err.Stop();
  if (out) container->out.Start(&loop_, std::move(out), to_log(LogStream::kStdout), finish(LogStream::kStdout));
  if (err) container->err.Start(&loop_, std::move(err), to_log(LogStream::kStderr), finish(LogStream::kStderr));
  return Ok();
}

Error Pod::FinishExec(Command* command, bool succeeded, pid_t pid) {
  Container* container = FindContainer(command->container_id);
  Exec* exec = FindExec(container, command->exec_id);
  if (exec == nullptr) return Ok();
  Error error;
  if (succeeded && pid > 0 && exec->terminal) error = exec->console.Take(&exec->master);
  if (succeeded && pid > 0 && error.ok()) error = Adopt(&exec->process, pid);
  if (succeeded && pid > 0 && error.ok()) {
    exec->peek_err.reset();
    if (!peers_.Greeted(exec->owner)) KillProcess(exec->process);  // its daemon went away meanwhile
    return Ok();
  }
  if (pid > 0) kill(pid, SIGKILL);
  if (exec->peek_err) command->err_tail.Add(ReadWhatIsThere(exec->peek_err.get()));
  EraseExec(container, command->exec_id);
  return error;
}

// From the pid file, provided it names a child of ours that nothing else is known as. A child that was started and
// has ended is still there: strangers are not reaped while a command runs.
pid_t Pod::StartedPid(const Command& command) {
  if (command.purpose == wire::kPlain) return 0;
  std::string text;
  if (!ReadFile(command.pid_file.c_str(), 32, &text).ok()) return 0;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  int64_t pid = 0;
  if (!ParseDecimal(text, &pid) || pid <= 1 || pid > INT32_MAX) return 0;
  pid_t found = static_cast<pid_t>(pid);
  return IsOurChild(found) && !IsKnown(found) ? found : 0;
}

Error Pod::Adopt(Process* process, pid_t pid) {
  process->pidfd.reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process->pidfd) return Errno("pidfd_open");
  process->pid = pid;
  process->state = State::kRunning;
  return Ok();
}

void Pod::Cancel(Waiting from, uint64_t request) {
  for (const auto& command : commands_) {
    if (command->waiting.peer != from.peer || command->waiting.request != request) continue;
    if (command->killed_for == wire::kOk) command->killed_for = wire::kCancelled;
    kill(-command->pid, SIGKILL);
  }
  for (const auto& container : containers_) {
    const Mounter& mounter = container->mounter;
    if (mounter.pid <= 0 || mounter.waiting.peer != from.peer || mounter.waiting.request != request) continue;
    AbandonMounter(container.get(),
                   Fail(wire::kCancelled, Concat({"mounting the rootfs of ", container->id, " was cancelled"})));
  }
}

void Pod::CheckDeadlines() {
  int64_t now = MonotonicNanos();
  for (const auto& command : commands_) {
    if (command->deadline > now) continue;
    command->deadline = INT64_MAX;
    if (command->killed_for == wire::kOk) command->killed_for = wire::kDeadlineExceeded;
    kill(-command->pid, SIGKILL);
  }
  for (const auto& container : containers_) {
    if (container->mounter.pid <= 0 || container->mounter.deadline > now) continue;
    AbandonMounter(container.get(), Fail(wire::kDeadlineExceeded,
                                         Concat({"mounting the rootfs of ", container->id, " did not end in time"})));
  }
}

int64_t Pod::NextDeadline() const {
  int64_t next = INT64_MAX;
  for (const auto& command : commands_) next = command->deadline < next ? command->deadline : next;
  for (const auto& container : containers_) {
    if (container->mounter.pid > 0 && container->mounter.deadline < next) next = container->mounter.deadline;
    if (container->log.dropped_lines() != container->reported_drops) {
      int64_t tell_at = drops_told_at_ + 1000000000;
      next = tell_at < next ? tell_at : next;
    }
  }
  return next;
}

}  // namespace berth::supervisor
