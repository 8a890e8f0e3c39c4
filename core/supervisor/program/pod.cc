#include "core/supervisor/program/pod.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "core/supervisor/program/namespaces.h"

namespace berth::supervisor {
namespace {

wire::Frame ExitFrame(const Process& process, const std::string& container_id, const std::string& exec_id) {
  wire::Exit exit;
  exit.sequence = process.sequence;
  exit.container_id = container_id;
  exit.exec_id = exec_id;
  exit.wait_status = process.wait_status;
  exit.at_unix_ns = process.exit_unix_ns;
  return wire::MakeFrame(wire::Type::kExit, 0, exit);
}

wire::ProcessEntry Entry(const Process& process, const std::string& container_id, const std::string& exec_id) {
  wire::ProcessEntry entry;
  entry.container_id = container_id;
  entry.exec_id = exec_id;
  entry.state = static_cast<uint8_t>(process.state);
  entry.pid = process.pid;
  entry.wait_status = process.wait_status;
  entry.exit_unix_ns = process.exit_unix_ns;
  return entry;
}

bool Unacknowledged(const Process& process) { return process.state == State::kExited && !process.acknowledged; }

Error Unknown(const std::string& container_id, const std::string& exec_id) {
  if (exec_id.empty()) return Fail(wire::kNotFound, Concat({"no container ", container_id, " in this pod"}));
  return Fail(wire::kNotFound, Concat({"no exec ", exec_id, " in container ", container_id}));
}

}  // namespace

std::string ExitName(const std::string& container_id, const std::string& exec_id) {
  return exec_id.empty() ? container_id : Concat({container_id, ".", exec_id});  // names have no dots
}

Error Pod::Listen() {
  BERTH_TRY(loop_.Open());
  BERTH_TRY(WatchSignals());
  return peers_.Listen(&loop_, parts_.directory.get(),
                       [this](uint64_t peer, wire::Frame&& frame) { return OnFrame(peer, std::move(frame)); });
}

void Pod::Serve() {
  while (!stop_ && !(terminating_ && Idle())) {
    loop_.RunOnce(NextDeadline());
    CheckDeadlines();
    TellDrops();
    if (peers_.TakeDropped()) DropOrphanedExecs();
  }
  EndInit();
  if (shutdown_.request != 0) ReplyOk(shutdown_);
  peers_.Close();
}

void Pod::Abandon() {
  EndInit();
  peers_.Close();
  UndoPins(parts_.spec);
  unlinkat(parts_.directory.get(), wire::kExitsName, AT_REMOVEDIR);
  rmdir(parts_.spec.directory.c_str());
}

bool Pod::OnFrame(uint64_t peer, wire::Frame&& frame) {
  Waiting from = {peer, frame.request};
  if (frame.type == wire::Type::kHello) return OnHello(from, std::move(frame));
  if (!peers_.Greeted(peer) || !frame.descriptors.empty() || frame.request == 0) return false;
  return Dispatch(from, std::move(frame));
}

bool Pod::OnHello(Waiting from, wire::Frame&& frame) {
  wire::Hello hello;
  if (!wire::Decode(frame.body, &hello) || frame.descriptors.size() > 1 || peers_.Greeted(from.peer)) return false;
  if (hello.version < wire::kVersion) {
    ReplyError(from, Fail(wire::kUnimplemented, "this supervisor is newer than the daemon"));
    return true;
  }
  // A daemon that was started anew may live in another mount namespace than the one that started us.
  if (!frame.descriptors.empty()) parts_.mount_ns = std::move(frame.descriptors[0]);
  wire::HelloReply reply;
  reply.pod_id = parts_.spec.id;
  reply.build_id = parts_.spec.build_id;
  reply.pid = getpid();
  reply.init_pid = parts_.init_pid;
  peers_.SetGreeted(from.peer);
  Reply(from, reply);
  Replay(from.peer);
  return true;
}

// False: the body is not what the type says, and the peer is hung up on.
bool Pod::Dispatch(Waiting from, wire::Frame&& frame) {
  auto answer = [&](const Error& error) {
    if (error.ok()) {
      ReplyOk(from);
    } else {
      ReplyError(from, error);
    }
    return true;
  };
  auto with = [&](auto message, auto&& handle) {
    if (!wire::Decode(frame.body, &message)) return false;
    handle(message);
    return true;
  };
  switch (frame.type) {
    case wire::Type::kPrepareContainer:
      return with(wire::PrepareContainer(), [&](auto& m) { Prepare(from, m); });
    case wire::Type::kPrepareExec:
      return with(wire::PrepareExec(), [&](auto& m) { PrepareExec(from, m); });
    case wire::Type::kRun:
      return with(wire::Run(), [&](auto& m) { Run(from, m); });
    case wire::Type::kTakeTerminal:
      return with(wire::Target(), [&](auto& m) { TakeTerminal(from, m); });
    case wire::Type::kSignal:
      return with(wire::Signal(), [&](auto& m) { answer(SignalTo(m)); });
    case wire::Type::kKillExec:
      return with(wire::Target(), [&](auto& m) { answer(KillExec(m)); });
    case wire::Type::kReopenLog:
      return with(wire::Target(), [&](auto& m) { answer(ReopenLog(m)); });
    case wire::Type::kResize:
      return with(wire::Resize(), [&](auto& m) { answer(Resize(m)); });
    case wire::Type::kForget:
      return with(wire::Target(), [&](auto& m) { answer(Forget(m)); });
    case wire::Type::kAcknowledge:
      return with(wire::Acknowledge(), [&](auto& m) { Acknowledge(m.sequence); });
    case wire::Type::kList:
      return with(wire::Empty(), [&](auto&) { SendList(from); });
    case wire::Type::kCancel:
      return with(wire::Cancel(), [&](auto& m) { Cancel(from, m.request); });
    case wire::Type::kShutdown: {
      Error error = CheckIdle();
      if (!error.ok()) return answer(error);
      shutdown_ = from;
      stop_ = true;
      return true;
    }
    default:
      return answer(Fail(wire::kUnimplemented, "this supervisor does not know that request"));
  }
}

Error Pod::SignalTo(const wire::Signal& m) {
  if (m.signal < 1 || m.signal >= NSIG) return Fail(wire::kInvalidArgument, "no such signal: " + Decimal(m.signal));
  Process* process = FindProcess(m.container_id, m.exec_id);
  if (process == nullptr) return Unknown(m.container_id, m.exec_id);
  if (process->state == State::kExited || process->state == State::kFailed) return Ok();
  if (process->state != State::kRunning) return Fail(wire::kFailedPrecondition, "it has not been started");
  if (syscall(SYS_pidfd_send_signal, process->pidfd.get(), m.signal, nullptr, 0) != 0 && errno != ESRCH) {
    return Errno(Concat({"signal ", m.container_id, " ", m.exec_id}));
  }
  return Ok();
}

Error Pod::KillExec(const wire::Target& m) {
  Exec* exec = FindExec(FindContainer(m.container_id), m.exec_id);
  if (exec == nullptr) return Unknown(m.container_id, m.exec_id);
  if (exec->process.state == State::kRunning) KillProcess(exec->process);
  return Ok();
}

void Pod::KillProcess(const Process& process) {
  // Not reaped yet, so its number is still its own, and the group's if it leads one.
  if (getpgid(process.pid) == process.pid) kill(-process.pid, SIGKILL);
  syscall(SYS_pidfd_send_signal, process.pidfd.get(), SIGKILL, nullptr, 0);
}

Error Pod::ReopenLog(const wire::Target& m) {
  Container* container = FindContainer(m.container_id);
  if (container == nullptr) return Unknown(m.container_id, "");
  if (container->process.state != State::kRunning) return Fail(wire::kFailedPrecondition, "the container does not run");
  return container->log.Reopen();
}

Error Pod::Resize(const wire::Resize& m) {
  Container* container = FindContainer(m.container_id);
  if (container == nullptr) return Unknown(m.container_id, "");
  if (!container->terminal || container->out.fd() < 0) {
    return Fail(wire::kFailedPrecondition, "the container has no terminal");
  }
  winsize size = {};
  size.ws_col = m.columns;
  size.ws_row = m.rows;
  if (ioctl(container->out.fd(), TIOCSWINSZ, &size) != 0) return Errno("resize the terminal");
  return Ok();
}

bool Pod::Uses(const Command& command, std::string_view container_id, std::string_view exec_id) const {
  if (command.purpose == wire::kPlain || command.container_id != container_id) return false;
  return exec_id.empty() || command.exec_id == exec_id;
}

Error Pod::Forget(const wire::Target& m) {
  Container* container = FindContainer(m.container_id);
  if (container == nullptr) return Ok();
  for (const auto& command : commands_) {
    if (Uses(*command, m.container_id, m.exec_id)) {
      return Fail(wire::kFailedPrecondition, "a command of the executor is at work on it");
    }
  }
  if (!m.exec_id.empty()) return ForgetExec(container, m.exec_id);
  if (container->process.state == State::kRunning) return Fail(wire::kFailedPrecondition, "the container runs");
  for (const auto& exec : container->execs) {
    if (exec->process.state == State::kRunning) {
      return Fail(wire::kFailedPrecondition, Concat({"exec ", exec->id, " of the container runs"}));
    }
  }
  EraseContainer(m.container_id);
  return Ok();
}

Error Pod::ForgetExec(Container* container, const std::string& exec_id) {
  Exec* exec = FindExec(container, exec_id);
  if (exec != nullptr && exec->process.state == State::kRunning) {
    return Fail(wire::kFailedPrecondition, "the exec runs");
  }
  if (exec != nullptr) EraseExec(container, exec_id);
  return Ok();
}

void Pod::Acknowledge(uint64_t sequence) {
  for (const auto& container : containers_) {
    if (Process& p = container->process; p.state == State::kExited && p.sequence == sequence) p.acknowledged = true;
    for (const auto& exec : container->execs) {
      if (exec->process.state != State::kExited || exec->process.sequence != sequence) continue;
      return EraseExec(container.get(), std::string(exec->id));
    }
  }
}

void Pod::TakeTerminal(Waiting to, const wire::Target& m) {
  Exec* exec = FindExec(FindContainer(m.container_id), m.exec_id);
  if (exec == nullptr) return ReplyError(to, Unknown(m.container_id, m.exec_id));
  if (!exec->master) return ReplyError(to, Fail(wire::kFailedPrecondition, "the exec has no terminal to give"));
  std::vector<UniqueFd> descriptors;
  descriptors.push_back(std::move(exec->master));
  Reply(to, wire::Empty(), std::move(descriptors));
}

void Pod::SendList(Waiting to) {
  wire::ListReply reply;
  for (const auto& container : containers_) {
    reply.entries.push_back(Entry(container->process, container->id, ""));
    reply.entries.back().log_drops = container->log.dropped_lines();
    for (const auto& exec : container->execs) reply.entries.push_back(Entry(exec->process, container->id, exec->id));
  }
  Reply(to, reply);
}

Error Pod::CheckIdle() const {
  return Idle() ? Ok() : Fail(wire::kFailedPrecondition, "something still runs in the pod");
}

void Pod::Replay(uint64_t peer) {
  for (const auto& container : containers_) {
    if (Unacknowledged(container->process)) peers_.Send(peer, ExitFrame(container->process, container->id, ""));
    for (const auto& exec : container->execs) {
      if (Unacknowledged(exec->process)) peers_.Send(peer, ExitFrame(exec->process, container->id, exec->id));
    }
  }
}

// Of a daemon that has gone: nobody holds the other ends of their pipes any more, nor waits for them. What runs is
// killed, as when its client had lost patience.
void Pod::DropOrphanedExecs() {
  for (const auto& container : containers_) {
    std::vector<std::string> orphans;
    for (const auto& exec : container->execs) {
      if (peers_.Greeted(exec->owner)) continue;
      if (exec->process.state == State::kPrepared) orphans.push_back(exec->id);
      if (exec->process.state == State::kRunning) KillProcess(exec->process);
    }
    for (const std::string& id : orphans) EraseExec(container.get(), id);
  }
}

void Pod::ReplyOk(Waiting to) { Reply(to, wire::Empty()); }

void Pod::ReplyError(Waiting to, const Error& error) {
  wire::Frame frame = wire::MakeFrame(wire::Type::kReply, to.request, wire::ErrorReply{error.text});
  frame.code = error.code;
  peers_.Send(to.peer, std::move(frame));
}

Container* Pod::FindContainer(std::string_view id) const {
  for (const auto& container : containers_) {
    if (container->id == id) return container.get();
  }
  return nullptr;
}

Exec* Pod::FindExec(const Container* container, std::string_view id) {
  if (container == nullptr) return nullptr;
  for (const auto& exec : container->execs) {
    if (exec->id == id) return exec.get();
  }
  return nullptr;
}

Process* Pod::FindProcess(std::string_view container_id, std::string_view exec_id) const {
  Container* container = FindContainer(container_id);
  if (container == nullptr) return nullptr;
  if (exec_id.empty()) return &container->process;
  Exec* exec = FindExec(container, exec_id);
  return exec == nullptr ? nullptr : &exec->process;
}

void Pod::EraseContainer(const std::string& id) {
  for (size_t i = 0; i < containers_.size(); ++i) {
    Container* container = containers_[i].get();
    if (container->id != id) continue;
    if (container->mounter.pid > 0) AbandonMounter(container, Fail(wire::kCancelled, "the container was forgotten"));
    while (!container->execs.empty()) EraseExec(container, std::string(container->execs.back()->id));
    unlinkat(parts_.exits.get(), ExitName(id, "").c_str(), 0);
    containers_.erase(containers_.begin() + static_cast<long>(i));
    return;
  }
}

void Pod::EraseExec(Container* container, const std::string& id) {
  for (size_t i = 0; i < container->execs.size(); ++i) {
    if (container->execs[i]->id != id) continue;
    unlinkat(parts_.exits.get(), ExitName(container->id, id).c_str(), 0);
    container->execs.erase(container->execs.begin() + static_cast<long>(i));
    return;
  }
}

}  // namespace berth::supervisor
