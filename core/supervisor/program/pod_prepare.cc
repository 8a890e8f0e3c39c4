#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/supervisor/program/pod.h"
#include "core/supervisor/program/spawn.h"

namespace berth::supervisor {
namespace {

constexpr size_t kMaxContainers = 1024;
constexpr size_t kMaxExecs = 1024;  // of one container, exits that nobody acknowledged included

Error OpenNull(UniqueFd* out) {
  out->reset(open("/dev/null", O_RDWR | O_CLOEXEC));
  return *out ? Ok() : Errno("open /dev/null");
}

Error CheckPrepare(const wire::PrepareContainer& m) {
  if (!wire::IsName(m.id)) return Fail(wire::kInvalidArgument, "the container id is not a plain name");
  if (!IsCleanPath(m.rootfs)) return Fail(wire::kInvalidArgument, "the rootfs is not a clean path");
  if (!m.log_path.empty() && !IsCleanPath(m.log_path)) {
    return Fail(wire::kInvalidArgument, "the log path is not a clean path");
  }
  for (const wire::Mount& mount : m.mounts) {
    for (const std::string* text : {&mount.type, &mount.source, &mount.target}) {
      if (text->find('\0') != std::string::npos) return Fail(wire::kInvalidArgument, "a mount has a NUL");
    }
  }
  return Ok();
}

bool Live(const Container& container) {
  State state = container.process.state;
  return state == State::kRunning || state == State::kCreating ||
         (state == State::kPrepared && container.mounter.pid > 0);
}

// The child's side of the three standard streams; ours go to the container.
struct ChildStreams {
  UniqueFd in;
  Pipe out, err;
};

// With a terminal these serve the executor's command alone, whose output then never mixes with the container's.
Error MakeStreams(const wire::PrepareContainer& m, Container* container, ChildStreams* child) {
  BERTH_TRY(MakePipe(&child->out));
  BERTH_TRY(MakePipe(&child->err));
  if (m.stdin_open && !m.terminal) {
    Pipe in;
    BERTH_TRY(MakePipe(&in));
    child->in = std::move(in.read);
    container->stdin_hold = std::move(in.write);
    return Ok();
  }
  return OpenNull(&child->in);
}

Error MakeExecStreams(const wire::PrepareExec& m, Exec* exec, std::vector<UniqueFd>* ours) {
  BERTH_TRY(OpenNull(&exec->in));
  BERTH_TRY(OpenNull(&exec->out));
  BERTH_TRY(OpenNull(&exec->err));
  Pipe pipe;
  if (m.stdin_open) {
    BERTH_TRY(MakePipe(&pipe));
    exec->in = std::move(pipe.read);
    ours->push_back(std::move(pipe.write));
  }
  if (m.stdout_open) {
    BERTH_TRY(MakePipe(&pipe));
    exec->out = std::move(pipe.write);
    ours->push_back(std::move(pipe.read));
  }
  if (m.stderr_open) {
    BERTH_TRY(MakePipe(&pipe));
    exec->err = std::move(pipe.write);
    // Opened anew, so that O_NONBLOCK is ours alone.
    std::string path = "/proc/self/fd/" + Decimal(pipe.read.get());
    exec->peek_err.reset(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    ours->push_back(std::move(pipe.read));
  }
  return Ok();
}

}  // namespace

void Pod::Prepare(Waiting from, const wire::PrepareContainer& m) {
  Error error = MakeContainer(from, m);
  if (!error.ok()) ReplyError(from, error);
}

// The answer follows from OnMounterAnswer.
Error Pod::MakeContainer(Waiting from, const wire::PrepareContainer& m) {
  BERTH_TRY(CheckPrepare(m));
  if (Container* old = FindContainer(m.id)) {
    if (Live(*old)) return Fail(wire::kAlreadyExists, Concat({"container ", m.id, " is prepared or runs already"}));
    EraseContainer(m.id);
  }
  if (containers_.size() >= kMaxContainers) return Fail(wire::kResourceExhausted, "too many containers in this pod");
  auto container = std::make_unique<Container>();
  container->id = m.id;
  container->terminal = m.terminal;
  BERTH_TRY(container->log.Open(m.log_path, m.terminal));
  if (m.terminal) BERTH_TRY(container->console.Listen(parts_.directory.get(), parts_.spec.directory));
  ChildStreams child;
  BERTH_TRY(MakeStreams(m, container.get(), &child));
  Mounter& mounter = container->mounter;
  BERTH_TRY(StartMounter(m, parts_.mount_ns.get(), parts_.spec, child.in.get(), child.out.write.get(),
                         child.err.write.get(), &mounter.pid, &mounter.socket));
  mounter.waiting = from;
  mounter.deadline = DeadlineAfter(m.timeout_ns);
  StartOutputs(container.get(), std::move(child.out.read), std::move(child.err.read));
  std::string id = m.id;
  mounter.watch = Watch(&loop_, mounter.socket.get(), EPOLLIN, [this, id](uint32_t) { OnMounterAnswer(id); });
  containers_.push_back(std::move(container));
  return Ok();
}

void Pod::StartOutputs(Container* container, UniqueFd out, UniqueFd err) {
  container->out.Start(&loop_, std::move(out), [container](std::string_view d) { container->create_out.Add(d); });
  container->err.Start(&loop_, std::move(err), [container](std::string_view d) { container->create_err.Add(d); });
}

void Pod::OnMounterAnswer(const std::string& id) {
  Container* container = FindContainer(id);
  if (container == nullptr) return;
  Mounter& mounter = container->mounter;
  wire::Frame frame;
  wire::Received received = wire::ReceiveFrame(mounter.socket.get(), &frame);
  if (received == wire::Received::kNothing) return;
  mounter.watch.Stop();
  wire::ErrorReply said;
  if (received != wire::Received::kFrame || !wire::Decode(frame.body, &said)) {
    return AbandonMounter(container, Fail(wire::kInternal, "the child that mounts the rootfs died"));
  }
  if (frame.code != wire::kOk || frame.descriptors.size() != 1) {
    return AbandonMounter(container, Fail(frame.code != wire::kOk ? frame.code : wire::kInternal, said.text));
  }
  mounter.mounted = true;
  mounter.deadline = INT64_MAX;
  Waiting to = std::exchange(mounter.waiting, Waiting());
  Reply(to, wire::ConsoleReply{container->console.path()}, std::move(frame.descriptors));
}

// Kills it; whenever it ends (a mount of a dead server may take its time) it is reaped as a stranger.
void Pod::AbandonMounter(Container* container, const Error& error) {
  Mounter& mounter = container->mounter;
  mounter.watch.Stop();
  mounter.socket.reset();
  if (mounter.pid > 0) kill(-std::exchange(mounter.pid, 0), SIGKILL);
  mounter.deadline = INT64_MAX;
  container->process.state = State::kFailed;
  container->out.Stop();
  container->err.Stop();
  container->stdin_hold.reset();
  container->console.Close();
  Waiting to = std::exchange(mounter.waiting, Waiting());
  if (to.request != 0) ReplyError(to, error);
}

void Pod::PrepareExec(Waiting from, const wire::PrepareExec& m) {
  Container* container = FindContainer(m.container_id);
  if (container == nullptr || container->process.state != State::kRunning) {
    return ReplyError(from, Fail(wire::kNotFound, Concat({"no container ", m.container_id, " runs in this pod"})));
  }
  if (!wire::IsName(m.exec_id))
    return ReplyError(from, Fail(wire::kInvalidArgument, "the exec id is not a plain name"));
  if (FindExec(container, m.exec_id) != nullptr) {
    return ReplyError(from, Fail(wire::kAlreadyExists, Concat({"exec ", m.exec_id, " exists already"})));
  }
  if (container->execs.size() >= kMaxExecs) {
    return ReplyError(from, Fail(wire::kResourceExhausted, "too many execs in this container"));
  }
  auto exec = std::make_unique<Exec>();
  exec->id = m.exec_id;
  exec->owner = from.peer;
  exec->terminal = m.terminal;
  std::vector<UniqueFd> ours;
  Error error = m.terminal ? exec->console.Listen(parts_.directory.get(), parts_.spec.directory)
                           : MakeExecStreams(m, exec.get(), &ours);
  if (!error.ok()) return ReplyError(from, error);
  Reply(from, wire::ConsoleReply{exec->console.path()}, std::move(ours));
  container->execs.push_back(std::move(exec));
}

}  // namespace berth::supervisor
