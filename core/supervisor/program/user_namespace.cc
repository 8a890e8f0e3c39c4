#include "core/supervisor/program/user_namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace berth::supervisor {
namespace {

constexpr size_t kMostLines = 340;  // of the kernel (user_namespaces(7))

std::string MapText(const std::vector<wire::IdMapping>& map) {
  std::string text;
  for (const wire::IdMapping& line : map) {
    text += Concat({Decimal(line.inside), " ", Decimal(line.host), " ", Decimal(line.count), "\n"});
  }
  return text;
}

// Has the namespace until it is killed; says so by one byte, 0 or an errno.
[[noreturn]] void Hold(int pipe) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  char failure = unshare(CLONE_NEWUSER) == 0 ? 0 : static_cast<char>(errno);
  (void)!write(pipe, &failure, 1);
  close(pipe);
  for (;;) pause();
}

Error MapAndPin(const wire::LaunchSpec& spec, pid_t holder) {
  std::string proc = Concat({"/proc/", Decimal(holder)});
  BERTH_TRY(WriteExisting((proc + "/uid_map").c_str(), MapText(spec.uid_map)));
  BERTH_TRY(WriteExisting((proc + "/gid_map").c_str(), MapText(spec.gid_map)));
  if (mount((proc + "/ns/user").c_str(), spec.user_ns_path.c_str(), "none", MS_BIND, nullptr) != 0) {
    return Errno(Concat({"pin the user namespace at ", spec.user_ns_path}));
  }
  return Ok();
}

std::string DirectoryOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

Error CheckUserNamespace(const wire::LaunchSpec& spec) {
  if (spec.user_ns_path.empty() && spec.uid_map.empty() && spec.gid_map.empty()) return Ok();
  if (!IsCleanPath(spec.user_ns_path) || spec.user_ns_path.rfind('/') == 0) {
    return Fail(wire::kInvalidArgument, "user_ns_path is not a clean path below a directory");
  }
  if (spec.uid_map.empty() || spec.gid_map.empty() || spec.uid_map.size() > kMostLines ||
      spec.gid_map.size() > kMostLines) {
    return Fail(wire::kInvalidArgument, "a user namespace has 1 to 340 lines of each map");
  }
  return Ok();
}

Error PinUserNamespace(const wire::LaunchSpec& spec) {
  if (spec.user_ns_path.empty()) return Ok();
  BERTH_TRY(MakeDirs(DirectoryOf(spec.user_ns_path), 0711));
  umount2(spec.user_ns_path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);  // left by a pod of that id that crashed
  UniqueFd file(open(spec.user_ns_path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444));
  if (!file) return Errno(Concat({"create ", spec.user_ns_path}));
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Errno("pipe");
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  pid_t holder = fork();
  if (holder < 0) return Errno("fork");
  if (holder == 0) Hold(write_end.get());
  write_end.reset();
  char failure = 0;
  bool said = read(read_end.get(), &failure, 1) == 1;
  Error error;
  if (!said) {
    error = Fail(wire::kInternal, "the child that makes the pod's user namespace died");
  } else if (failure != 0) {
    error = Errno(failure, "unshare the pod's user namespace (user.max_user_namespaces)");
  } else {
    error = MapAndPin(spec, holder);
  }
  kill(holder, SIGKILL);
  waitpid(holder, nullptr, 0);
  return error;
}

void UnpinUserNamespace(const wire::LaunchSpec& spec) {
  if (spec.user_ns_path.empty()) return;
  umount2(spec.user_ns_path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  unlink(spec.user_ns_path.c_str());
  rmdir(DirectoryOf(spec.user_ns_path).c_str());
}

uint32_t HostRoot(const std::vector<wire::IdMapping>& map) {
  for (const wire::IdMapping& line : map) {
    if (line.inside == 0) return line.host;
  }
  return 0;
}

}  // namespace berth::supervisor
