#include "core/supervisor/program/pod_init.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// pod_init.S
extern "C" const char berth_pod_init_begin[], berth_pod_init_end[];

namespace berth::supervisor {
namespace {

// What the helper does before it becomes the init; each may fail and is told by name.
struct Helper {
  int pipe = -1;     // to the supervisor: "pid\n" or "!text"; its copy in the init tells readiness
  int user_ns = -1;  // -1: none
  int program = -1;  // sealed memfd
};

Error MakeProgram(UniqueFd* out) {
  constexpr unsigned kExec = 0x10;  // MFD_EXEC, Linux 6.3: vm.memfd_noexec=1 asks for it, older kernels refuse it
  UniqueFd memfd(memfd_create("berth-init", MFD_CLOEXEC | MFD_ALLOW_SEALING | kExec));
  if (!memfd && errno == EINVAL) memfd.reset(memfd_create("berth-init", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memfd) return Errno("memfd_create for the pod's init (vm.memfd_noexec=2 forbids it)");
  size_t size = static_cast<size_t>(berth_pod_init_end - berth_pod_init_begin);
  if (write(memfd.get(), berth_pod_init_begin, size) != static_cast<ssize_t>(size) || fchmod(memfd.get(), 0555) != 0) {
    return Errno("write the pod's init");
  }
  // Sealed: even a process that opens /proc/1/exe with every privilege can't change what runs there.
  if (fcntl(memfd.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
    return Errno("seal the pod's init");
  }
  *out = std::move(memfd);
  return Ok();
}

// An empty read-only file system as root, the old one detached: /proc/1/root leads nowhere.
Error EmptyRoot() {
  if (unshare(CLONE_NEWNS | CLONE_NEWCGROUP) != 0) return Errno("unshare the init's mounts");
  if (mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) != 0) return Errno("make the init's mounts private");
  if (mount("none", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0555,size=4k,nr_inodes=2") != 0) {
    return Errno("mount the init's root");
  }
  if (chdir("/proc") != 0 || syscall(SYS_pivot_root, ".", ".") != 0) return Errno("pivot_root of the pod's init");
  if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) return Errno("detach the init's old root");
  if (mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    return Errno("make the init's root read-only");
  }
  return Ok();
}

Error DropPrivileges() {
  for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; ++cap) {
    if (prctl(PR_CAPBSET_DROP, cap) != 0) return Errno("drop the init's capability bounding set");
  }
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return Errno("clear ambient capabilities");
  constexpr gid_t kGid = 65535;
  constexpr uid_t kUid = 65535;  // what the pause image runs as; a narrow user namespace may not map it
  if (setgroups(0, nullptr) != 0 && errno != EPERM) return Errno("drop the init's groups");
  if (setresgid(kGid, kGid, kGid) != 0 && errno != EINVAL) return Errno("set the init's group");
  if (setresuid(kUid, kUid, kUid) != 0 && errno != EINVAL) return Errno("set the init's user");
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0) return Errno("drop the init's capabilities");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Errno("set no_new_privs");
  return Ok();
}

[[noreturn]] void Tell(int pipe, const Error& error) {
  (void)!write(pipe, "!", 1);
  (void)!write(pipe, error.text.data(), error.text.size());
  _exit(1);
}

[[noreturn]] void BecomeInit(const Helper& helper) {
  prctl(PR_SET_NAME, "berth-init");
  Error error = DropPrivileges();
  if (!error.ok()) Tell(helper.pipe, error);
  setsid();
  ResetSignals();
  int keep[] = {helper.pipe, helper.program};
  if (!PlaceDescriptors(keep, 2)) _exit(1);
  fcntl(1, F_SETFD, FD_CLOEXEC);
  char name[] = "berth-init";
  char* argv[] = {name, nullptr};
  char* env[] = {nullptr};
  syscall(SYS_execveat, 1, "", argv, env, AT_EMPTY_PATH);
  Tell(0, Errno("execute the pod's init"));
}

[[noreturn]] void HelperMain(const Helper& helper) {
  Error error = EmptyRoot();
  if (error.ok() && helper.user_ns >= 0) {
    if (setns(helper.user_ns, CLONE_NEWUSER) != 0)
      error = Errno("join the pod's user namespace");
    else if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
      error = Errno("become root of the pod's user namespace");
  }
  if (error.ok() && unshare(CLONE_NEWPID) != 0) error = Errno("unshare the pod's pid namespace");
  if (!error.ok()) Tell(helper.pipe, error);
  // CLONE_PARENT: a child of the supervisor, which has to be the one whose death kills it.
  long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid == 0) BecomeInit(helper);
  if (pid < 0) Tell(helper.pipe, Errno("clone the pod's init"));
  std::string line = Decimal(pid) + "\n";
  (void)!write(helper.pipe, line.data(), line.size());
  _exit(0);
}

// All that the helper and the init say; ends when both have let go of the pipe.
Error ReadReport(int pipe, pid_t* pid) {
  std::string text;
  char buffer[512];
  for (ssize_t n; text.size() < 4096 && (n = read(pipe, buffer, sizeof(buffer))) > 0;) {
    text.append(buffer, static_cast<size_t>(n));
  }
  // The pid's line and a failure may come in any order: the two processes run side by side.
  std::string failure;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find('\n', at);
    std::string_view part = std::string_view(text).substr(at, end == std::string::npos ? end : end - at);
    int64_t number = 0;
    if (size_t mark = part.find('!'); mark != std::string_view::npos) {
      failure = part.substr(mark + 1);
      part = part.substr(0, mark);
    }
    if (ParseDecimal(part, &number)) *pid = static_cast<pid_t>(number);
    at = end == std::string::npos ? text.size() : end + 1;
  }
  if (!failure.empty()) return Fail(wire::kInternal, failure);
  if (*pid <= 0) return Fail(wire::kInternal, "the pod's init was not started: its helper died");
  return Ok();
}

bool HasLine(std::string_view text, std::string_view line) { return text.find(line) != std::string_view::npos; }

Error CheckHardened(pid_t pid) {
  std::string path = Concat({"/proc/", Decimal(pid), "/status"}), status;
  BERTH_TRY(ReadFile(path.c_str(), 8192, &status));
  if (HasLine(status, "\nSeccomp:\t2\n") && HasLine(status, "\nNoNewPrivs:\t1\n") &&
      HasLine(status, "\nCapEff:\t0000000000000000\n") && HasLine(status, "\nCapBnd:\t0000000000000000\n")) {
    return Ok();
  }
  int wait_status = 0;
  pid_t ended = waitpid(pid, &wait_status, WNOHANG);
  return Fail(wire::kInternal, Concat({"the pod's init could not be hardened (",
                                       ended == pid ? "ended with wait status " : "runs, but open; status ",
                                       Decimal(wait_status), ")"}));
}

}  // namespace

Error StartPodInit(const std::string& user_ns_path, pid_t* pid) {
  UniqueFd program, user_ns;
  BERTH_TRY(MakeProgram(&program));
  if (!user_ns_path.empty()) {
    user_ns.reset(open(user_ns_path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!user_ns) return Errno(Concat({"open ", user_ns_path}));
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Errno("pipe");
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  pid_t helper = fork();
  if (helper < 0) return Errno("fork");
  if (helper == 0) HelperMain({write_end.get(), user_ns.get(), program.get()});
  write_end.reset();
  *pid = 0;
  Error error = ReadReport(read_end.get(), pid);
  waitpid(helper, nullptr, 0);
  if (error.ok()) error = CheckHardened(*pid);
  if (!error.ok() && *pid > 0) {
    kill(*pid, SIGKILL);
    waitpid(*pid, nullptr, 0);
    *pid = 0;
  }
  return error;
}

}  // namespace berth::supervisor
