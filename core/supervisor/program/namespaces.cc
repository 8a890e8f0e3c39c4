#include "core/supervisor/program/namespaces.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/supervisor/program/user_namespace.h"

namespace berth::supervisor {
namespace {

bool StartsWith(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

Error LoopbackUp() {
  UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return Errno("socket for the loopback interface");
  ifreq request = {};
  strcpy(request.ifr_name, "lo");
  if (ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0) return Errno("read the flags of lo");
  request.ifr_flags |= IFF_UP;
  if (ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) return Errno("bring lo up");
  return Ok();
}

Error Unshare(const wire::LaunchSpec& spec) {
  int flags =
      (spec.new_network ? CLONE_NEWNET : 0) | (spec.new_ipc ? CLONE_NEWIPC : 0) | (spec.new_uts ? CLONE_NEWUTS : 0);
  if (flags != 0 && unshare(flags) != 0) return Errno("unshare the pod's namespaces");
  return Ok();
}

Error Configure(const wire::LaunchSpec& spec) {
  if (spec.new_uts && !spec.hostname.empty() && sethostname(spec.hostname.data(), spec.hostname.size()) != 0) {
    return Errno(Concat({"set hostname ", spec.hostname}));
  }
  if (spec.new_network) BERTH_TRY(LoopbackUp());
  for (const wire::Sysctl& sysctl : spec.sysctls) {
    std::string path;
    BERTH_TRY(SysctlPath(spec, sysctl.name, &path));
    BERTH_TRY(WriteExisting(path.c_str(), sysctl.value));
  }
  return Ok();
}

Error JoinFile(const std::string& path, int kind) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return Errno(Concat({"open ", path}));
  if (setns(fd.get(), kind) != 0) return Errno(Concat({"join namespace ", path}));
  return Ok();
}

Error JoinAsRoot(const std::string& user_ns) {
  BERTH_TRY(JoinFile(user_ns, CLONE_NEWUSER));
  if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0) return Errno("become root of the pod's user namespace");
  return Ok();
}

// Tells its result through `pipe` (empty text: fine), then waits to be killed.
[[noreturn]] void OwnerChild(const wire::LaunchSpec& spec, int pipe) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  Error error = JoinAsRoot(spec.user_ns_path);
  if (error.ok()) error = Unshare(spec);
  if (error.ok()) error = Configure(spec);
  char code = static_cast<char>(error.code);
  (void)!write(pipe, &code, 1);
  (void)!write(pipe, error.text.data(), error.text.size());
  close(pipe);
  for (;;) pause();
}

Error ReadOwnerResult(int pipe) {
  char text[1024];
  size_t size = 0;
  for (ssize_t n; size < sizeof(text) && (n = read(pipe, text + size, sizeof(text) - size)) > 0;) {
    size += static_cast<size_t>(n);
  }
  if (size == 0) return Fail(wire::kInternal, "the child that makes the pod's namespaces died");
  return Fail(static_cast<uint8_t>(text[0]), std::string(text + 1, size - 1));
}

Error JoinOwnerChild(const wire::LaunchSpec& spec, pid_t child) {
  std::string base = Concat({"/proc/", Decimal(child), "/ns/"});
  if (spec.new_network) BERTH_TRY(JoinFile(base + "net", CLONE_NEWNET));
  if (spec.new_ipc) BERTH_TRY(JoinFile(base + "ipc", CLONE_NEWIPC));
  if (spec.new_uts) BERTH_TRY(JoinFile(base + "uts", CLONE_NEWUTS));
  return Ok();
}

Error EnterThroughOwner(const wire::LaunchSpec& spec) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Errno("pipe");
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  pid_t child = fork();
  if (child < 0) return Errno("fork");
  if (child == 0) OwnerChild(spec, write_end.get());
  write_end.reset();
  Error error = ReadOwnerResult(read_end.get());
  if (error.ok()) error = JoinOwnerChild(spec, child);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return error;
}

// What `ip netns` does: the directory must be a shared mount for pins to be seen, and to go away, in every namespace.
Error MakeNetnsDirectory(const std::string& directory) {
  BERTH_TRY(MakeDirs(directory, 0755));
  // Another supervisor may be doing the same.
  UniqueFd lock(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock || flock(lock.get(), LOCK_EX) != 0) return Errno(Concat({"lock ", directory}));
  if (mount("", directory.c_str(), "none", MS_SHARED | MS_REC, nullptr) == 0) return Ok();
  if (errno != EINVAL) return Errno(Concat({"make ", directory, " a shared mount"}));
  if (mount(directory.c_str(), directory.c_str(), "none", MS_BIND | MS_REC, nullptr) != 0) {
    return Errno(Concat({"bind ", directory, " on itself"}));
  }
  if (mount("", directory.c_str(), "none", MS_SHARED | MS_REC, nullptr) != 0) {
    return Errno(Concat({"make ", directory, " a shared mount"}));
  }
  return Ok();
}

Error PinNetwork(const std::string& path) {
  BERTH_TRY(MakeNetnsDirectory(path.substr(0, path.rfind('/'))));
  umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);  // left by a pod of that id that crashed
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444));
  if (!file) return Errno(Concat({"create ", path}));
  if (mount("/proc/self/ns/net", path.c_str(), "none", MS_BIND, nullptr) != 0) {
    return Errno(Concat({"pin the network namespace at ", path}));
  }
  return Ok();
}

Error MountShm(const wire::LaunchSpec& spec) {
  const std::string& path = spec.shm_path;
  BERTH_TRY(MakeDirs(path, 0755));
  umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  std::string options = Concat({"mode=1777,size=", Decimal(static_cast<int64_t>(spec.shm_size)),
                                ",uid=", Decimal(HostRoot(spec.uid_map)), ",gid=", Decimal(HostRoot(spec.gid_map))});
  if (mount("shm", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options.c_str()) != 0) {
    return Errno(Concat({"mount tmpfs (", options, ") on ", path}));
  }
  return Ok();
}

bool IsPin(const std::string& path) { return path.empty() || (IsCleanPath(path) && path.rfind('/') > 0); }

}  // namespace

Error CheckSpec(const wire::LaunchSpec& spec) {
  if (!wire::IsName(spec.id)) return Fail(wire::kInvalidArgument, "the pod id is not a plain name");
  if (!IsCleanPath(spec.directory)) return Fail(wire::kInvalidArgument, "the pod's directory is not a clean path");
  if (spec.hostname.size() > 64) return Fail(wire::kInvalidArgument, "the hostname is longer than 64 bytes");
  if (!IsPin(spec.netns_pin) || !IsPin(spec.shm_path)) {
    return Fail(wire::kInvalidArgument, "netns_pin or shm_path is not a clean path");
  }
  BERTH_TRY(CheckUserNamespace(spec));
  for (const wire::Sysctl& sysctl : spec.sysctls) {
    std::string path;
    BERTH_TRY(SysctlPath(spec, sysctl.name, &path));
  }
  return Ok();
}

Error EnterNamespaces(const wire::LaunchSpec& spec) {
  if (!spec.user_ns_path.empty()) return EnterThroughOwner(spec);
  BERTH_TRY(Unshare(spec));
  return Configure(spec);
}

Error SysctlPath(const wire::LaunchSpec& spec, std::string_view name, std::string* path) {
  std::string key(name);
  // sysctl.d(5): if the first separator is a dot, dots separate and slashes stand for dots in interface names.
  size_t first = key.find_first_of("./");
  if (first != std::string::npos && key[first] == '.') {
    for (char& c : key) c = c == '.' ? '/' : (c == '/' ? '.' : c);
  }
  *path = "/proc/sys/" + key;
  if (!IsCleanPath(*path) || key.find("//") != std::string::npos) {
    return Fail(wire::kInvalidArgument, Concat({"sysctl name '", name, "' is malformed"}));
  }
  bool network = StartsWith(key, "net/");
  bool ipc = StartsWith(key, "kernel/shm") || StartsWith(key, "kernel/msg") || key == "kernel/sem" ||
             StartsWith(key, "fs/mqueue/");
  bool uts = key == "kernel/hostname" || key == "kernel/domainname";
  if ((network && spec.new_network) || (ipc && spec.new_ipc) || (uts && spec.new_uts)) return Ok();
  return Fail(wire::kInvalidArgument, Concat({"sysctl '", name, "' does not belong to a namespace of this pod"}));
}

Error MakePins(const wire::LaunchSpec& spec) {
  Error error;
  if (!spec.netns_pin.empty()) error = PinNetwork(spec.netns_pin);
  if (error.ok() && !spec.shm_path.empty()) error = MountShm(spec);
  if (!error.ok()) UndoPins(spec);
  return error;
}

void UndoPins(const wire::LaunchSpec& spec) {
  UnpinUserNamespace(spec);
  if (!spec.netns_pin.empty()) {
    umount2(spec.netns_pin.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
    unlink(spec.netns_pin.c_str());
  }
  if (!spec.shm_path.empty()) {
    umount2(spec.shm_path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
    rmdir(spec.shm_path.c_str());
  }
}

}  // namespace berth::supervisor
