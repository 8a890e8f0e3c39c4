// The pod supervisor. `supervisor-BUILDID POD` with a launch specification on standard input, started by the daemon.
//
// The first process says on standard output that it has begun, and once the pod is set up that it is, and ends with 0;
// otherwise it prints "CODE text" to standard error. The second one is the supervisor: in its own session, without a
// controlling terminal or any descriptor of the daemon's.
#include <fcntl.h>
#include <linux/close_range.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

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

void LetGoOfTheDaemon() {
  setsid();
  (void)!chdir("/");
  umask(022);
  UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int fd = 0; fd <= 2; ++fd) dup2(null.get(), fd);
}

int Supervise(wire::LaunchSpec spec, UniqueFd socket) {
  prctl(PR_SET_NAME, "berth-supervisor");  // the kernel keeps 15 bytes
  SetOwnOomScore();
  LetGoOfTheDaemon();
  std::unique_ptr<Pod> pod;
  Error error = SetUpPod(std::move(spec), &pod);
  if (!Report(socket.get(), error)) {
    if (pod != nullptr) pod->Abandon();
    return 1;
  }
  socket.reset();
  pod->Serve();
  return 0;
}

int Launch() {
  signal(SIGPIPE, SIG_IGN);
  // Without the daemon nobody wants the pod: then the second process gets no word to go on, and undoes what it made.
  // Otherwise a new daemon could clean up after us before we are done.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  wire::LaunchSpec spec;
  Error error = ReadSpec(&spec);
  if (!error.ok()) return PrintError(error);
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
    return Supervise(std::move(spec), std::move(theirs));
  }
  theirs.reset();
  if (!Say(wire::kBegun)) return 1;
  std::string said;
  char buffer[1024];
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

int main() {
  syscall(SYS_close_range, 3U, ~0U, 0);
  berth::supervisor::KeepMemorySmall();
  return berth::supervisor::Launch();
}
