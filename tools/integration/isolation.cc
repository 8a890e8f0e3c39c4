#include "tools/integration/isolation.h"

#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/base/unique_fd.h"
#include "tools/integration/cgroup_dirs.h"

#ifdef __SANITIZE_ADDRESS__
// Leaks are found by a thread that looks into this process by its number in /proc, which is another in a world's own
// namespaces: there it would end the test with an error of its own.
extern "C" int __lsan_is_turned_off() { return 1; }
#endif

namespace berth {
namespace {

constexpr long kOverlayMagic = 0x794c7630;

World& MutableWorld() {
  static World world;
  return world;
}

absl::Status Mount(const char* source, const char* target, const char* type, unsigned long flags, const char* data) {
  if (mount(source, target, type, flags, data) == 0) return absl::OkStatus();
  return ErrnoStatus(absl::StrCat("mount ", type ? type : "(flags)", " on ", target));
}

absl::Status LoopbackUp() {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  if (ioctl(fd.get(), SIOCSIFFLAGS, &request) == 0) return absl::OkStatus();
  return ErrnoStatus("set lo up");
}

absl::Status MakeDirectory() {
  // On the lab's machines / is the host's, on which overlayfs can't have its upper directory.
  const auto mounts = ReadFile("/proc/self/mounts");
  const bool lab = mounts.ok() && absl::StrContains(*mounts, " /var/lib/uml ext4 ");
  std::string directory = lab ? "/var/lib/uml/bi.XXXXXX" : "/tmp/bi.XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) return ErrnoStatus("mkdtemp " + directory);
  MutableWorld().directory = directory;
  MutableWorld().systemd = lab && access("/run/systemd/system", F_OK) == 0;
  // A dash in a slice's name would make it a part of another.
  MutableWorld().tag = (TheWorld().systemd ? "berthit" : "berth-it-") + directory.substr(directory.size() - 6);
  return chmod(directory.c_str(), 0755) == 0 ? absl::OkStatus() : ErrnoStatus("chmod " + directory);
}

absl::Status Furnish() {
  if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC) != 0) return ErrnoStatus("unshare");
  RETURN_IF_ERROR(Mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr));
  if (!TheWorld().systemd) {
    RETURN_IF_ERROR(Mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr));
    RETURN_IF_ERROR(Mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"));
  }
  RETURN_IF_ERROR(MakeDirs("/run/netns"));
  RETURN_IF_ERROR(MakeDirs("/run/lock"));
  RETURN_IF_ERROR(MakeDirs("/var/lib/cni"));
  RETURN_IF_ERROR(Mount("tmpfs", "/var/lib/cni", "tmpfs", 0, "mode=700"));
  struct statfs fs;
  const std::string& directory = TheWorld().directory;
  if (statfs(directory.c_str(), &fs) == 0 && fs.f_type == kOverlayMagic) {
    RETURN_IF_ERROR(Mount("tmpfs", directory.c_str(), "tmpfs", 0, "mode=755"));
  }
  // As on a node: mounts propagate unless somebody says otherwise.
  RETURN_IF_ERROR(Mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr));
  return LoopbackUp();
}

// Of a program's own doing: whoever ends another sends none of these.
bool IsCrash(const siginfo_t& ended) {
  if (ended.si_code != CLD_KILLED && ended.si_code != CLD_DUMPED) return false;
  for (int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE, SIGSYS, SIGTRAP}) {
    if (ended.si_status == signal) return true;
  }
  return false;
}

// Waits for `child` and for whatever else has become ours meanwhile. A daemon that another one has started comes here
// once that one is gone: that it crashed is known to nobody else, and makes the tests a failure.
int WaitFor(pid_t child) {
  int status = 0;
  bool crashed = false;
  for (;;) {
    siginfo_t ended = {};
    if (waitid(P_ALL, 0, &ended, WEXITED | WNOWAIT) != 0) {
      if (errno == EINTR) continue;
      return 1;
    }
    if (ended.si_pid != child && IsCrash(ended)) {
      const std::string name = ReadFile(absl::StrCat("/proc/", ended.si_pid, "/comm")).value_or("");
      // "exe": a daemon that its own kind has started from /proc/self/exe.
      if (name == "berth\n" || name == "exe\n") {
        std::fprintf(stderr, "process %d, a daemon, crashed: signal %d\n", ended.si_pid, ended.si_status);
        crashed = true;
      }
    }
    if (waitpid(ended.si_pid, &status, 0) == child) break;
  }
  const int result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result == 0 && crashed ? 1 : result;
}

[[noreturn]] void Init(const std::function<int()>& body) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (const absl::Status status = Furnish(); !status.ok()) {
    std::fprintf(stderr, "furnish the world of the tests: %s\n", status.ToString().c_str());
    _exit(1);
  }
  const pid_t child = fork();
  if (child == 0) {
    // exit, not _exit: the results of the tests are still in buffers.
    std::exit(body());
  }
  _exit(child < 0 ? 1 : WaitFor(child));
}

pid_t the_init = 0;

// Who ends the test program early ends its world, and what is outside of it is still removed.
void EndTheWorld(int) { kill(the_init, SIGKILL); }

std::string FindRunfiles(const char* argv0) {
  const char* source = std::getenv("TEST_SRCDIR");
  if (source != nullptr) return absl::StrCat(source, "/berth");
  char path[PATH_MAX];
  if (realpath(argv0, path) == nullptr) return "";
  return absl::StrCat(path, ".runfiles/berth");
}

}  // namespace

const World& TheWorld() { return MutableWorld(); }

int RunIsolated(const char* argv0, const std::function<int()>& body) {
  MutableWorld().runfiles = FindRunfiles(argv0);
  absl::Status status = MakeDirectory();
  // The mounts stay this process's own: it removes what is left, for which it needs a /proc that outlives the child.
  if (status.ok() && !TheWorld().systemd && unshare(CLONE_NEWPID) != 0) {
    status = ErrnoStatus("unshare (are you root?)");
  }
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  }
  const pid_t init = fork();
  if (init == 0) Init(body);
  if (init > 0) {
    the_init = init;
    signal(SIGTERM, EndTheWorld);
    signal(SIGINT, EndTheWorld);
  }
  const int result = init < 0 ? 1 : WaitFor(init);
  RemoveCgroups(TheWorld().tag);
  if (absl::Status removed = RemoveTree(TheWorld().directory); !removed.ok()) {
    std::fprintf(stderr, "%s\n", removed.ToString().c_str());
  }
  return result;
}

}  // namespace berth
