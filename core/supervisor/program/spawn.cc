#include "core/supervisor/program/spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/supervisor/program/oom_score.h"
#include "core/supervisor/program/rootfs_mount.h"
#include "core/supervisor/program/stream.h"
#include "core/supervisor/wire/frame.h"

namespace berth::supervisor {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& s : strings) pointers.push_back(const_cast<char*>(s.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

bool HasNul(const std::vector<std::string>& strings) {
  for (const std::string& s : strings) {
    if (s.find('\0') != std::string::npos) return true;
  }
  return false;
}

// What no command of the executor keeps of us. It ends with us, too: the next daemon deletes what it was at work on.
void BecomeCommand(pid_t supervisor, pid_t member_of) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != supervisor) _exit(127);  // it died before that
  DropOomProtection();
  if (member_of > 0) TakeOomScoreOf(member_of);
}

// Waits for one frame; false when the supervisor has hung up.
bool WaitForFrame(int socket, wire::Frame* frame) {
  for (;;) {
    pollfd poll_fd = {socket, POLLIN, 0};
    poll(&poll_fd, 1, -1);
    wire::Received received = wire::ReceiveFrame(socket, frame);
    if (received == wire::Received::kFrame) return true;
    if (received != wire::Received::kNothing) return false;
  }
}

void Answer(int socket, const Error& error, UniqueFd rootfs) {
  wire::Frame frame = wire::MakeFrame(wire::Type::kReply, 0, wire::ErrorReply{error.text});
  frame.code = error.code;
  if (rootfs) frame.descriptors.push_back(std::move(rootfs));
  wire::Packet packet;
  if (wire::Pack(std::move(frame), &packet)) wire::SendPacket(socket, packet);
}

// Descriptors: 0-2 the container's streams, 3 the socket, 4 the daemon's mount namespace.
[[noreturn]] void MounterMain(const wire::PrepareContainer& prepare, const wire::LaunchSpec& pod) {
  constexpr int kSocket = 3, kMountNs = 4;
  prctl(PR_SET_NAME, "berth-mounter");
  UniqueFd rootfs;
  Error error = MountRootfs(kMountNs, prepare, pod, &rootfs);
  close(kMountNs);
  Answer(kSocket, error, std::move(rootfs));
  if (!error.ok()) _exit(1);
  wire::Frame frame;
  wire::Run run;
  if (!WaitForFrame(kSocket, &frame) || frame.type != wire::Type::kRun || !wire::Decode(frame.body, &run)) _exit(1);
  fcntl(kSocket, F_SETFD, FD_CLOEXEC);
  Execute(run.argv, run.env, kSocket);
}

}  // namespace

Error CheckCommand(const std::vector<std::string>& argv, const std::vector<std::string>& env) {
  if (argv.empty() || !IsCleanPath(argv[0])) return Fail(wire::kInvalidArgument, "argv[0] is not an absolute path");
  if (HasNul(argv) || HasNul(env)) return Fail(wire::kInvalidArgument, "an argument or variable has a NUL");
  return Ok();
}

void Execute(const std::vector<std::string>& argv, const std::vector<std::string>& env, int failure) {
  execve(argv[0].c_str(), Pointers(argv).data(), Pointers(env).data());
  Error error = Errno(Concat({"execute ", argv[0]}));
  std::string text = static_cast<char>(error.code) + error.text;
  (void)!write(failure, text.data(), text.size());
  _exit(127);
}

Error Spawn(const wire::Run& run, pid_t member_of, int in, int out, int err, pid_t* pid, UniqueFd* failure) {
  Pipe pipe;
  BERTH_TRY(MakePipe(&pipe));
  const pid_t self = getpid();
  *pid = fork();
  if (*pid < 0) return Errno("fork");
  if (*pid == 0) {
    BecomeCommand(self, member_of);
    int fds[] = {in, out, err, pipe.write.get()};
    if (!PlaceDescriptors(fds, 4)) _exit(127);
    fcntl(3, F_SETFD, FD_CLOEXEC);
    ResetSignals();
    Execute(run.argv, run.env, 3);
  }
  setpgid(*pid, *pid);  // whoever comes first: from here on the group can be killed
  *failure = std::move(pipe.read);
  return Ok();
}

Error StartMounter(const wire::PrepareContainer& prepare, int mount_ns, const wire::LaunchSpec& pod, int in, int out,
                   int err, pid_t* pid, UniqueFd* socket) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return Errno("socketpair");
  UniqueFd ours(ends[0]), theirs(ends[1]);
  const pid_t self = getpid();
  *pid = fork();
  if (*pid < 0) return Errno("fork");
  if (*pid == 0) {
    BecomeCommand(self, 0);
    int fds[] = {in, out, err, theirs.get(), mount_ns};
    if (!PlaceDescriptors(fds, 5)) _exit(127);
    ResetSignals();
    MounterMain(prepare, pod);
  }
  setpgid(*pid, *pid);
  *socket = std::move(ours);
  return Ok();
}

}  // namespace berth::supervisor
