#include "core/supervisor/client.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <mutex>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/base/subprocess.h"
#include "core/supervisor/channel.h"
#include "core/supervisor/starter.h"
#include "core/supervisor/wire/messages.h"

namespace berth {
namespace {

// For requests that a supervisor answers at once: it never waits for anything but processes.
constexpr int64_t kPromptNs = 10'000'000'000;

Call Prompt(const Call& call) {
  Call prompt = call;
  prompt.deadline_ns = std::min(call.deadline_ns, MonotonicNanos() + kPromptNs);
  return prompt;
}

template <class M>
absl::StatusOr<M> DecodeReply(const wire::Frame& frame) {
  M message;
  if (!wire::Decode(frame.body, &message)) return absl::InternalError("malformed reply of the supervisor");
  return message;
}

absl::StatusOr<std::vector<SupervisedProcess>> DecodeList(const wire::Frame& frame) {
  ASSIGN_OR_RETURN(wire::ListReply reply, DecodeReply<wire::ListReply>(frame));
  std::vector<SupervisedProcess> list;
  for (wire::ProcessEntry& e : reply.entries) {
    if (e.state > static_cast<uint8_t>(SupervisedState::kFailed)) {
      return absl::InternalError("malformed reply of the supervisor");
    }
    list.push_back({std::move(e.container_id), std::move(e.exec_id), static_cast<SupervisedState>(e.state), e.pid,
                    e.wait_status, e.exit_unix_ns, e.log_drops});
  }
  return list;
}

class Client : public Supervisor {
 public:
  Client(SupervisorLoop* loop, std::shared_ptr<Channel> channel, wire::HelloReply hello)
      : loop_(loop), channel_(std::move(channel)), hello_(std::move(hello)) {}
  ~Client() override {
    channel_->Detach();
    loop_->impl()->Remove(channel_);
  }

  const std::string& pod_id() const override { return hello_.pod_id; }
  const std::string& build_id() const override { return hello_.build_id; }
  uint32_t protocol_version() const override { return hello_.version; }
  pid_t pid() const override { return hello_.pid; }
  pid_t init_pid() const override { return hello_.init_pid; }

  absl::StatusOr<PreparedContainer> PrepareContainer(const Call& call, const ContainerPrepare& prepare,
                                                     const std::function<void()>& meanwhile) override;
  absl::StatusOr<PreparedExec> PrepareExec(const Call& call, const ExecPrepare& prepare) override;
  absl::StatusOr<SupervisedResult> Run(const Call& call, const SupervisedCommand& command) override;
  absl::StatusOr<UniqueFd> TakeTerminal(const Call& call, const std::string& container_id,
                                        const std::string& exec_id) override;
  absl::StatusOr<std::vector<SupervisedProcess>> List(const Call& call) override;
  absl::Status Shutdown(const Call& call) override;

  absl::Status Signal(const Call& call, const std::string& container_id, const std::string& exec_id,
                      int signal) override {
    return Simple(call, wire::Type::kSignal, wire::Signal{container_id, exec_id, signal}, "signal", container_id);
  }
  absl::Status KillExec(const Call& call, const std::string& container_id, const std::string& exec_id) override {
    return Simple(call, wire::Type::kKillExec, wire::Target{container_id, exec_id}, "kill exec in", container_id);
  }
  absl::Status ReopenLog(const Call& call, const std::string& container_id) override {
    return Simple(call, wire::Type::kReopenLog, wire::Target{container_id, ""}, "reopen the log of", container_id);
  }
  absl::Status ResizeTerminal(const Call& call, const std::string& container_id, uint16_t columns,
                              uint16_t rows) override {
    return Simple(call, wire::Type::kResize, wire::Resize{container_id, columns, rows}, "resize", container_id);
  }
  absl::Status Forget(const Call& call, const std::string& container_id, const std::string& exec_id) override {
    return Simple(call, wire::Type::kForget, wire::Target{container_id, exec_id}, "forget", container_id);
  }
  int Beat() override { return channel_->Beat(); }
  void HangUp() override { channel_->HangUp(); }
  absl::Status Acknowledge(uint64_t sequence) override {
    return channel_->Tell(wire::MakeFrame(wire::Type::kAcknowledge, 0, wire::Acknowledge{sequence}));
  }

 private:
  // A request that is answered with OK or an error.
  template <class M>
  absl::Status Simple(const Call& call, wire::Type type, const M& message, const char* what, const std::string& on) {
    absl::StatusOr<wire::Frame> reply = channel_->Ask(Prompt(call), wire::MakeFrame(type, 0, message));
    return Annotate(reply.status(), absl::StrCat(what, " container ", on));
  }

  SupervisorLoop* const loop_;
  const std::shared_ptr<Channel> channel_;
  const wire::HelloReply hello_;
};

wire::PrepareContainer ToWire(const ContainerPrepare& prepare) {
  wire::PrepareContainer m;
  m.id = prepare.id;
  m.rootfs = prepare.rootfs;
  m.log_path = prepare.stdio.log_path;
  for (const RootfsMount& mount : prepare.mounts) {
    m.mounts.push_back({mount.type, mount.source, mount.target, mount.options});
  }
  m.bidirectional = prepare.bidirectional;
  m.terminal = prepare.stdio.terminal;
  m.stdin_open = prepare.stdio.stdin_open;
  m.stdin_once = prepare.stdio.stdin_once;
  return m;
}

absl::StatusOr<PreparedContainer> Client::PrepareContainer(const Call& call, const ContainerPrepare& prepare,
                                                           const std::function<void()>& meanwhile) {
  wire::PrepareContainer m = ToWire(prepare);
  m.timeout_ns = TimeoutOf(call);
  absl::StatusOr<wire::Frame> reply =
      channel_->Ask(call, wire::MakeFrame(wire::Type::kPrepareContainer, 0, m), meanwhile);
  if (!reply.ok()) return Annotate(reply.status(), absl::StrCat("prepare container ", prepare.id));
  ASSIGN_OR_RETURN(wire::ConsoleReply console, DecodeReply<wire::ConsoleReply>(*reply));
  if (reply->descriptors.size() != 1) return absl::InternalError("the supervisor sent no rootfs");
  return PreparedContainer{std::move(reply->descriptors[0]), console.console_socket};
}

absl::StatusOr<PreparedExec> Client::PrepareExec(const Call& call, const ExecPrepare& prepare) {
  wire::PrepareExec m;
  m.container_id = prepare.container_id;
  m.exec_id = prepare.exec_id;
  m.terminal = prepare.terminal;
  m.stdin_open = prepare.stdin_open && !prepare.terminal;
  m.stdout_open = prepare.stdout_open && !prepare.terminal;
  m.stderr_open = prepare.stderr_open && !prepare.terminal;
  absl::StatusOr<wire::Frame> reply = channel_->Ask(Prompt(call), wire::MakeFrame(wire::Type::kPrepareExec, 0, m));
  if (!reply.ok()) return Annotate(reply.status(), absl::StrCat("prepare exec ", prepare.exec_id));
  ASSIGN_OR_RETURN(wire::ConsoleReply console, DecodeReply<wire::ConsoleReply>(*reply));
  PreparedExec prepared;
  prepared.console_socket = console.console_socket;
  std::pair<bool, UniqueFd*> wanted[] = {
      {m.stdin_open, &prepared.in}, {m.stdout_open, &prepared.out}, {m.stderr_open, &prepared.err}};
  size_t next = 0;
  for (auto& [asked, fd] : wanted) {
    if (!asked) continue;
    if (next == reply->descriptors.size()) return absl::InternalError("the supervisor sent too few pipes");
    *fd = std::move(reply->descriptors[next++]);
  }
  return prepared;
}

absl::StatusOr<SupervisedResult> Client::Run(const Call& call, const SupervisedCommand& command) {
  if (!command.pod_id.empty() && command.pod_id != hello_.pod_id) {
    return absl::InvalidArgumentError(
        absl::StrCat("a command of pod ", command.pod_id, " for the supervisor of pod ", hello_.pod_id));
  }
  wire::Run m;
  m.purpose = static_cast<uint32_t>(command.purpose);
  m.container_id = command.container_id;
  m.exec_id = command.exec_id;
  m.pid_file = command.pid_file;
  m.argv = command.argv;
  m.env = command.env;
  m.timeout_ns = TimeoutOf(call);
  absl::StatusOr<wire::Frame> reply = channel_->Ask(call, wire::MakeFrame(wire::Type::kRun, 0, m));
  if (!reply.ok()) {
    return Annotate(reply.status(), absl::StrCat("run ", command.argv.empty() ? "nothing" : command.argv[0]));
  }
  ASSIGN_OR_RETURN(wire::RunReply result, DecodeReply<wire::RunReply>(*reply));
  return SupervisedResult{result.wait_status, result.pid, std::move(result.out), std::move(result.err)};
}

absl::StatusOr<UniqueFd> Client::TakeTerminal(const Call& call, const std::string& container_id,
                                              const std::string& exec_id) {
  wire::Target target = {container_id, exec_id};
  absl::StatusOr<wire::Frame> reply =
      channel_->Ask(Prompt(call), wire::MakeFrame(wire::Type::kTakeTerminal, 0, target));
  if (!reply.ok()) return Annotate(reply.status(), absl::StrCat("take the terminal of exec ", exec_id));
  if (reply->descriptors.size() != 1) return absl::InternalError("the supervisor sent no terminal");
  return std::move(reply->descriptors[0]);
}

absl::StatusOr<std::vector<SupervisedProcess>> Client::List(const Call& call) {
  ASSIGN_OR_RETURN(wire::Frame frame,
                   channel_->Ask(Prompt(call), wire::MakeFrame(wire::Type::kList, 0, wire::Empty())));
  return DecodeList(frame);
}

absl::Status Client::Shutdown(const Call& call) {
  channel_->ExpectEnd(true);
  absl::StatusOr<wire::Frame> reply =
      channel_->Ask(Prompt(call), wire::MakeFrame(wire::Type::kShutdown, 0, wire::Empty()));
  if (reply.ok() || absl::IsUnavailable(reply.status())) return absl::OkStatus();
  channel_->ExpectEnd(false);
  return Annotate(reply.status(), absl::StrCat("end the supervisor of pod ", hello_.pod_id));
}

// Through the directory's descriptor: sun_path is short, and nothing on the way can be swapped.
absl::StatusOr<UniqueFd> OpenSocket(const std::string& directory, pid_t* peer) {
  ASSIGN_OR_RETURN(UniqueFd dir, OpenFile(directory, O_PATH | O_DIRECTORY));
  // Connecting waits for a place in the queue of one that does not accept, which may be for ever.
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return ErrnoStatus("socket");
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::string path = absl::StrCat("/proc/self/fd/", dir.get(), "/", wire::kSocketName);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno == ECONNREFUSED || errno == ENOENT) {
      return absl::NotFoundError(absl::StrCat("no supervisor listens in ", directory));
    }
    if (errno == EAGAIN) {
      return absl::UnavailableError(absl::StrCat("the supervisor in ", directory, " takes no connections"));
    }
    return ErrnoStatus(absl::StrCat("connect to the supervisor in ", directory));
  }
  ucred credentials = {};
  socklen_t size = sizeof(credentials);
  if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return ErrnoStatus("SO_PEERCRED");
  if (credentials.uid != 0) {
    return absl::PermissionDeniedError(absl::StrCat("the supervisor in ", directory, " is not root's"));
  }
  *peer = credentials.pid;
  return socket;
}

absl::StatusOr<wire::Frame> HelloFrame() {
  wire::Frame frame = wire::MakeFrame(wire::Type::kHello, 0, wire::Hello());
  ASSIGN_OR_RETURN(UniqueFd mounts, OpenFile("/proc/self/ns/mnt", O_RDONLY));
  frame.descriptors.push_back(std::move(mounts));
  return frame;
}

absl::StatusOr<wire::HelloReply> CheckHello(const absl::StatusOr<wire::Frame>& reply, pid_t peer) {
  RETURN_IF_ERROR(reply.status());
  ASSIGN_OR_RETURN(wire::HelloReply hello, DecodeReply<wire::HelloReply>(*reply));
  if (hello.pid == peer && wire::IsName(hello.pod_id)) return hello;
  return absl::InternalError("what answers is not the supervisor");
}

// Shared by the handle and the questions under way, either of which may end first.
class SearchState : public std::enable_shared_from_this<SearchState> {
 public:
  SearchState(SupervisorLoop* loop, std::shared_ptr<Channel> channel, pid_t peer, Supervisor::OnFound found)
      : loop_(loop), channel_(std::move(channel)), peer_(peer), found_(std::move(found)) {}

  pid_t peer() const { return peer_; }
  bool over() {
    std::lock_guard<std::mutex> lock(mutex_);
    return over_;
  }
  Channel& channel() const { return *channel_; }

  absl::Status Begin() {
    ASSIGN_OR_RETURN(wire::Frame hello, HelloFrame());
    RETURN_IF_ERROR(loop_->impl()->Add(channel_));
    return channel_->AskLater(std::move(hello), [self = shared_from_this()](absl::StatusOr<wire::Frame> reply) {
      absl::StatusOr<wire::HelloReply> hello = CheckHello(reply, self->peer_);
      absl::Status asked = hello.status();
      if (asked.ok()) {
        self->hello_ = *std::move(hello);
        asked = self->channel_->AskLater(wire::MakeFrame(wire::Type::kList, 0, wire::Empty()),
                                         [self](absl::StatusOr<wire::Frame> list) { self->Tell(std::move(list)); });
      }
      if (!asked.ok()) self->Tell(asked);
    });
  }
  void Drop() {
    bool over;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      over = std::exchange(over_, true);
    }
    // Then the channel is the supervisor's, or was left; whoever was told may still be at it.
    if (over) return channel_->AwaitDelivery();
    Leave();
  }

 private:
  void Tell(absl::StatusOr<wire::Frame> list) {
    absl::StatusOr<FoundSupervisor> found = FoundSupervisor();
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (std::exchange(over_, true)) return;
    }
    if (absl::StatusOr<std::vector<SupervisedProcess>> processes = list.ok() ? DecodeList(*list) : list.status();
        processes.ok()) {
      found->processes = *std::move(processes);
      found->supervisor = std::make_unique<Client>(loop_, channel_, hello_);
    } else {
      found = Annotate(processes.status(), absl::StrCat("find the supervisor in ", channel_->name()));
      Leave();
    }
    found_(std::move(found));
  }
  void Leave() {
    channel_->Detach();
    loop_->impl()->Remove(channel_);
  }

  SupervisorLoop* const loop_;
  const std::shared_ptr<Channel> channel_;
  const pid_t peer_;
  const Supervisor::OnFound found_;
  wire::HelloReply hello_;  // on the loop's thread only
  std::mutex mutex_;
  bool over_ = false;
};

class SearchHandle : public SupervisorSearch {
 public:
  explicit SearchHandle(std::shared_ptr<SearchState> state) : state_(std::move(state)) {}
  ~SearchHandle() override { state_->Drop(); }
  pid_t pid() const override { return state_->peer(); }
  bool over() const override { return state_->over(); }
  void HangUp() override { state_->channel().HangUp(); }

 private:
  const std::shared_ptr<SearchState> state_;
};

wire::LaunchSpec ToWire(const PodSpec& spec, const std::string& program) {
  wire::LaunchSpec m;
  m.id = spec.id;
  m.directory = spec.directory;
  std::string name = program.substr(program.rfind('/') + 1);
  m.build_id = name.substr(name.rfind('-') == std::string::npos ? 0 : name.rfind('-') + 1);
  m.hostname = spec.hostname;
  m.user_ns_path = spec.user_ns_path;
  m.netns_pin = spec.netns_pin;
  m.shm_path = spec.shm_path;
  m.new_network = spec.new_network;
  m.new_ipc = spec.new_ipc;
  m.new_uts = spec.new_uts;
  m.shared_pid = spec.shared_pid;
  m.shm_size = spec.shm_size;
  m.descriptor_limit = spec.descriptor_limit;
  for (const auto& [name, value] : spec.sysctls) m.sysctls.push_back({name, value});
  for (const IdMapping& line : spec.uid_map) m.uid_map.push_back({line.inside, line.host, line.count});
  for (const IdMapping& line : spec.gid_map) m.gid_map.push_back({line.inside, line.host, line.count});
  return m;
}

// The program's words: "CODE text".
absl::Status LaunchError(const CommandResult& result) {
  std::vector<std::string> parts = absl::StrSplit(result.err, absl::MaxSplits(' ', 1));
  int code = 0;
  if (parts.size() == 2 && absl::SimpleAtoi(parts[0], &code) && code > 0 && code <= static_cast<int>(wire::kMaxCode)) {
    absl::string_view text = parts[1];
    if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
    return absl::Status(static_cast<absl::StatusCode>(code), text);
  }
  return absl::InternalError(absl::StrCat("the program ended with wait status ", result.wait_status, ": ", result.err));
}

absl::Status Unpin(const std::string& path, bool directory) {
  if (path.empty()) return absl::OkStatus();
  if (umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != ENOENT && errno != EINVAL) {
    return ErrnoStatus(absl::StrCat("unmount ", path));
  }
  RETURN_IF_ERROR(Failpoint("pod.pins.unmounted"));
  if ((directory ? rmdir(path.c_str()) : unlink(path.c_str())) != 0 && errno != ENOENT) {
    return ErrnoStatus(absl::StrCat("remove ", path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReleasePins(const PodSpec& spec) {
  absl::Status first = Unpin(spec.netns_pin, false);
  first.Update(Unpin(spec.shm_path, true));
  first.Update(Unpin(spec.user_ns_path, false));
  if (spec.user_ns_path.empty()) return first;
  const std::string directory = spec.user_ns_path.substr(0, spec.user_ns_path.rfind('/'));
  if (rmdir(directory.c_str()) != 0 && errno != ENOENT) first.Update(ErrnoStatus("rmdir " + directory));
  return first;
}

std::string Supervisor::NsPath(const char* kind) const { return absl::StrCat("/proc/", pid(), "/ns/", kind); }

std::string Supervisor::pid_ns_path() const {
  return init_pid() == 0 ? std::string() : absl::StrCat("/proc/", init_pid(), "/ns/pid");
}

absl::StatusOr<std::unique_ptr<Supervisor>> Supervisor::Launch(SupervisorLoop* loop, SupervisorStarter* starter,
                                                               const PodSpec& spec, SupervisorEvents* events,
                                                               const Call& call,
                                                               const std::function<void()>& meanwhile) {
  const std::string what = absl::StrCat("start the supervisor of pod ", spec.id);
  pid_t peer;
  if (OpenSocket(spec.directory, &peer).ok()) {
    return absl::AlreadyExistsError(absl::StrCat(what, ": process ", peer, " is one already"));
  }
  Command command;
  command.input = wire::Encode(ToWire(spec, starter->program()));
  command.deadline_ns = call.deadline_ns;
  command.cancel_fd = call.cancel_fd;
  absl::StatusOr<std::unique_ptr<Supervisor>> supervisor = absl::UnavailableError("not yet");
  const auto connect = [&] {
    Call hello = call;  // it has been a success, however late: `meanwhile` may have taken long
    hello.deadline_ns = std::max(call.deadline_ns, MonotonicNanos() + kPromptNs);
    supervisor = Connect(loop, spec.directory, events, hello);
  };
  // What it says comes early. One of an older version says nothing, and that it has ended well says the same.
  bool begun = meanwhile == nullptr, up = false;
  command.on_output = [&](const std::string& said) {
    if (!begun && absl::StrContains(said, wire::kBegun)) {
      begun = true;
      meanwhile();
    }
    if (!up && absl::StrContains(said, wire::kUp)) {
      up = true;
      connect();
    }
  };
  absl::StatusOr<CommandResult> result = starter->Run(spec.id, std::move(command));
  // Once it is up, how the process that started it ended says nothing.
  if (result.ok() && !up && result->wait_status != 0) return Annotate(LaunchError(*result), what);
  if (result.ok() && !begun) meanwhile();
  if (result.ok() && !up) connect();
  const absl::Status status = result.ok() ? supervisor.status() : result.status();
  if (status.ok()) return supervisor;
  supervisor = status;
  // Killed just when it had succeeded, or cut off from it: nothing runs in the new pod yet, so it can be ended.
  Call cleanup;
  cleanup.deadline_ns = MonotonicNanos() + kPromptNs;
  if (auto left = Connect(loop, spec.directory, nullptr, cleanup); left.ok()) {
    absl::Status ended = (*left)->Shutdown(cleanup);
    absl::Status released = ReleasePins(spec);
    if (!ended.ok() || !released.ok()) LogWarn("half-started supervisor stays", {{"pod", spec.id}});
  }
  return Annotate(status, what);
}

absl::StatusOr<std::unique_ptr<Supervisor>> Supervisor::Connect(SupervisorLoop* loop, const std::string& directory,
                                                                SupervisorEvents* events, const Call& call) {
  pid_t peer = 0;
  ASSIGN_OR_RETURN(UniqueFd socket, OpenSocket(directory, &peer));
  auto channel = std::make_shared<Channel>(std::move(socket), directory, events);
  RETURN_IF_ERROR(loop->impl()->Add(channel));
  absl::StatusOr<wire::Frame> frame = HelloFrame();
  absl::StatusOr<wire::HelloReply> hello =
      frame.ok() ? CheckHello(channel->Ask(Prompt(call), *std::move(frame)), peer) : frame.status();
  if (!hello.ok()) {
    channel->Detach();
    loop->impl()->Remove(channel);
    return Annotate(hello.status(), absl::StrCat("connect to the supervisor in ", directory));
  }
  return std::unique_ptr<Supervisor>(std::make_unique<Client>(loop, std::move(channel), *std::move(hello)));
}

absl::StatusOr<std::unique_ptr<SupervisorSearch>> Supervisor::Search(SupervisorLoop* loop, const std::string& directory,
                                                                     SupervisorEvents* events, OnFound found) {
  pid_t peer = 0;
  ASSIGN_OR_RETURN(UniqueFd socket, OpenSocket(directory, &peer));
  auto state = std::make_shared<SearchState>(loop, std::make_shared<Channel>(std::move(socket), directory, events),
                                             peer, std::move(found));
  auto search = std::make_unique<SearchHandle>(state);
  RETURN_IF_ERROR(state->Begin());
  return std::unique_ptr<SupervisorSearch>(std::move(search));
}

absl::StatusOr<std::vector<SupervisedExit>> ReadExitRecords(const std::string& directory) {
  const std::string exits = absl::StrCat(directory, "/", wire::kExitsName);
  absl::StatusOr<std::vector<std::string>> names = ListDir(exits);
  if (absl::IsNotFound(names.status())) return std::vector<SupervisedExit>();
  RETURN_IF_ERROR(names.status());
  std::vector<SupervisedExit> records;
  for (const std::string& name : *names) {
    if (name[0] == '.') continue;  // one that was being written
    ASSIGN_OR_RETURN(std::string text, ReadFile(absl::StrCat(exits, "/", name), 256));
    std::vector<std::string> fields = absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty());
    std::vector<std::string> ids = absl::StrSplit(name, absl::MaxSplits('.', 1));
    SupervisedExit exit;
    if (fields.size() != 2 || !absl::SimpleAtoi(fields[0], &exit.wait_status) ||
        !absl::SimpleAtoi(fields[1], &exit.at_unix_ns)) {
      return absl::DataLossError(absl::StrCat("exit record ", exits, "/", name, " is malformed"));
    }
    exit.container_id = ids[0];
    if (ids.size() > 1) exit.exec_id = ids[1];
    records.push_back(std::move(exit));
  }
  return records;
}

}  // namespace berth
