// The pod supervisor. `supervisor-BUILDID POD` with a launch specification on standard input, started by the daemon.
//
// The first process is the daemon's child. It waits for the second, says on standard output that the pod is set up, and
// ends with 0; otherwise it prints "CODE text" to standard error. The second one is the supervisor: in its own session,
// without a controlling terminal or, once it is at work on the pod, any descriptor of the daemon's.
//
// Started ahead of its pod it bears the name wire::kSpareName until the specification comes.
#include <fcntl.h>
#include <linux/close_range.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "core/supervisor/program/launch.h"
#include "core/supervisor/program/oom_score.h"

namespace berth::supervisor {
namespace {

constexpr char kReady = '+', kGo = '!';

void KeepMemorySmall() {
  mallopt(M_TRIM_THRESHOLD, 16 << 10);
  mallopt(M_TOP_PAD, 4 << 10);
  mallopt(M_MMAP_THRESHOLD, 32 << 10);
}

bool Say(char word) { return write(STDOUT_FILENO, &word, 1) == 1; }

int PrintError(const Error& error) {
  std::string line = Concat({Decimal(error.code), " ", error.text, "\n"});
  (void)!write(STDERR_FILENO, line.data(), line.size());
  return 1;
}

// Tells the first process, and waits for its word that it still lives to tell the daemon.
bool Report(int socket, const Error& error) {
  std::string text = error.ok() ? std::string(1, kReady) : Decimal(error.code) + " " + error.text;
  if (send(socket, text.data(), text.size(), MSG_NOSIGNAL) < 0 || !error.ok()) return false;
  char answer = 0;
  return recv(socket, &answer, 1, 0) == 1 && answer == kGo;
}

void LeaveTheDaemon() {
  prctl(PR_SET_NAME, "berth-supervisor");  // the kernel keeps 15 bytes
  SetOwnOomScore();
  setsid();
  (void)!chdir("/");
  umask(022);
}

// Reads what the pod is to be, and says that it is at work on it.
Error Begin(const UniqueFd& parent, char* name, bool spare, wire::LaunchSpec* spec) {
  pollfd fds[] = {{STDIN_FILENO, POLLIN, 0}, {parent.get(), POLLIN, 0}};
  if (poll(fds, 2, -1) < 0) return Errno("wait for the launch specification");
  if (fds[1].revents != 0) return Fail(wire::kUnavailable, "the first process is gone");
  BERTH_TRY(ReadSpec(spec));
  if (spare) {
    if (spec->id.size() != strlen(name)) return Fail(wire::kInvalidArgument, "the pod's id is not as long as others");
    std::copy(spec->id.begin(), spec->id.end(), name);
  }
  if (!Say(wire::kBegun)) return Fail(wire::kUnavailable, "the daemon is gone");
  UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int fd = 0; fd <= 2; ++fd) dup2(null.get(), fd);
  return Ok();
}

int Supervise(UniqueFd socket, char* name) {
  const bool spare = name == wire::kSpareName;
  LeaveTheDaemon();
  wire::LaunchSpec spec;
  std::unique_ptr<Pod> pod;
  Error error = Begin(socket, name, spare, &spec);
  if (error.ok()) error = SetUpPod(std::move(spec), &pod);
  if (!Report(socket.get(), error)) {
    if (pod != nullptr) pod->Abandon();
    return 1;
  }
  socket.reset();
  pod->Serve();
  return 0;
}

int Launch(char* name) {
  signal(SIGPIPE, SIG_IGN);
  // Without the daemon nobody wants the pod: then the second process gets no word to go on, and undoes what it made.
  // Otherwise a new daemon could clean up after us before we are done.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // It may have died before the signal was asked for: then nobody reads what we say.
  pollfd daemon{STDERR_FILENO, 0, 0};
  if (poll(&daemon, 1, 0) == 1 && (daemon.revents & POLLERR) != 0) return 1;
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return PrintError(Errno("socketpair"));
  UniqueFd ours(ends[0]), theirs(ends[1]);
  pid_t child = fork();
  if (child < 0) return PrintError(Errno("fork"));
  if (child == 0) {
    ours.reset();
    return Supervise(std::move(theirs), name);
  }
  theirs.reset();
  std::string said;
  char buffer[4096];
  ssize_t n = recv(ours.get(), buffer, sizeof(buffer), 0);
  if (n == 1 && buffer[0] == kReady) {
    return send(ours.get(), &kGo, 1, MSG_NOSIGNAL) == 1 && Say(wire::kUp) ? 0 : 1;
  }
  if (n <= 0) return PrintError(Fail(wire::kInternal, "the supervisor died while it set the pod up"));
  said.assign(buffer, static_cast<size_t>(n));
  said += '\n';
  (void)!write(STDERR_FILENO, said.data(), said.size());
  return 1;
}

}  // namespace
}  // namespace berth::supervisor

int main(int argc, char** argv) {
  if (argc != 2) return 1;  // the daemon says what it started
  syscall(SYS_close_range, 3U, ~0U, 0);
  berth::supervisor::KeepMemorySmall();
  return berth::supervisor::Launch(argv[1]);
}
