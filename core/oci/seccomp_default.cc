// The default seccomp profile. It allows what programs in a container ordinarily use and denies what reaches the kernel
// as a whole: modules, kexec, raw I/O, clocks, mounts, namespaces, keys, BPF, tracing of others. A capability that the
// container has been given opens the system calls it is checked for: the kernel itself guards them then.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/oci/capabilities.h"
#include "core/oci/seccomp.h"

namespace berth::oci {
namespace {

// clang-format off
// Files, directories, descriptors.
constexpr const char* kFiles[] = {
    "access", "cachestat", "chdir", "chmod", "chown", "chown32", "close", "close_range", "copy_file_range",
    "creat", "dup", "dup2", "dup3", "faccessat", "faccessat2", "fadvise64", "fadvise64_64", "fallocate",
    "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32", "fchownat", "fcntl", "fcntl64",
    "fdatasync", "fgetxattr", "flistxattr", "flock", "fremovexattr", "fsetxattr", "fstat", "fstat64",
    "fstatat64", "fstatfs", "fstatfs64", "fsync", "ftruncate", "ftruncate64", "futimesat", "getcwd",
    "getdents", "getdents64", "getxattr", "getxattrat", "inotify_add_watch", "inotify_init", "inotify_init1",
    "inotify_rm_watch", "ioctl", "lchown", "lchown32", "lgetxattr", "link", "linkat", "listxattr",
    "listxattrat", "llistxattr", "_llseek", "lremovexattr", "lseek", "lsetxattr", "lstat", "lstat64", "mkdir",
    "mkdirat", "mknod", "mknodat", "name_to_handle_at", "newfstatat", "_newselect", "open", "openat",
    "openat2", "pipe", "pipe2", "pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read",
    "readahead", "readlink", "readlinkat", "readv", "removexattr", "removexattrat", "rename", "renameat",
    "renameat2", "rmdir", "sendfile", "sendfile64", "setxattr", "setxattrat", "splice", "stat", "stat64",
    "statfs", "statfs64", "statx", "symlink", "symlinkat", "sync", "sync_file_range", "syncfs", "tee",
    "truncate", "truncate64", "ugetrlimit", "umask", "unlink", "unlinkat", "utime", "utimensat",
    "utimensat_time64", "utimes", "vmsplice", "write", "writev", "file_getattr", "file_setattr"};

// Waiting for descriptors, asynchronous I/O. io_uring is left out: it carries system calls past this filter.
constexpr const char* kWaiting[] = {
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2",
    "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "io_cancel", "io_destroy", "io_getevents",
    "io_pgetevents", "io_pgetevents_time64", "io_setup", "io_submit", "poll", "ppoll", "ppoll_time64",
    "pselect6", "pselect6_time64", "select", "signalfd", "signalfd4", "timerfd_create", "timerfd_gettime",
    "timerfd_gettime64", "timerfd_settime", "timerfd_settime64"};

constexpr const char* kMemory[] = {
    "brk", "madvise", "map_shadow_stack", "membarrier", "memfd_create", "memfd_secret", "mincore", "mlock",
    "mlock2", "mlockall", "mmap", "mmap2", "mprotect", "mremap", "mseal", "msync", "munlock", "munlockall",
    "munmap", "pkey_alloc", "pkey_free", "pkey_mprotect", "process_madvise", "process_mrelease",
    "remap_file_pages"};

// Processes, threads, signals, scheduling, identity, limits.
constexpr const char* kProcesses[] = {
    "alarm", "capget", "capset", "execve", "execveat", "exit", "exit_group", "fork", "futex", "futex_requeue",
    "futex_time64", "futex_wait", "futex_waitv", "futex_wake", "get_robust_list", "get_thread_area",
    "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32", "getgroups", "getgroups32",
    "getpgid", "getpgrp", "getpid", "getppid", "getpriority", "getresgid", "getresgid32", "getresuid",
    "getresuid32", "getrlimit", "getrusage", "getsid", "gettid", "getuid", "getuid32", "ioprio_get",
    "ioprio_set", "kill", "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self",
    "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr", "pause", "pidfd_open", "pidfd_send_signal",
    "prctl", "prlimit64", "restart_syscall", "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask",
    "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64",
    "rt_tgsigqueueinfo", "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity",
    "sched_getattr", "sched_getparam", "sched_getscheduler", "sched_rr_get_interval",
    "sched_rr_get_interval_time64", "sched_setaffinity", "sched_setattr", "sched_setparam",
    "sched_setscheduler", "sched_yield", "seccomp", "set_robust_list", "set_thread_area", "set_tid_address",
    "setfsgid", "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32", "setgroups", "setgroups32",
    "setpgid", "setpriority", "setregid", "setregid32", "setresgid", "setresgid32", "setresuid",
    "setresuid32", "setreuid", "setreuid32", "setrlimit", "setsid", "setuid", "setuid32", "sigaltstack",
    "sigaction", "signal", "sigpending", "sigprocmask", "sigreturn", "sigsuspend", "tgkill", "tkill", "vfork",
    "wait4", "waitid", "waitpid"};

// socketcall is the only way of some 32-bit programs; its arguments cannot be judged here.
constexpr const char* kNetwork[] = {
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", "recv",
    "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "send", "sendmmsg", "sendmsg", "sendto",
    "setsockopt", "shutdown", "socketcall", "socketpair"};

constexpr const char* kIpc[] = {
    "ipc", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedreceive_time64",
    "mq_timedsend", "mq_timedsend_time64", "mq_unlink", "msgctl", "msgget", "msgrcv", "msgsnd", "semctl",
    "semget", "semop", "semtimedop", "semtimedop_time64", "shmat", "shmctl", "shmdt", "shmget"};

// Time, and what is asked of the system as a whole without changing it. adjtimex is a question without CAP_SYS_TIME.
constexpr const char* kSystem[] = {
    "adjtimex", "clock_adjtime", "clock_adjtime64", "clock_getres", "clock_getres_time64", "clock_gettime",
    "clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64", "getcpu", "getitimer", "getrandom",
    "gettimeofday", "listmount", "nanosleep", "setitimer", "statmount", "sysinfo", "time", "timer_create",
    "timer_delete", "timer_getoverrun", "timer_gettime", "timer_gettime64", "timer_settime",
    "timer_settime64", "times", "uname", "uretprobe"};

constexpr const char* kAmd64[] = {
    "arch_prctl", "modify_ldt"};
constexpr const char* kArm64[] = {
    "arm_fadvise64_64", "arm_sync_file_range", "sync_file_range2", "breakpoint", "cacheflush", "set_tls"};

// clang-format on

struct CapabilityCalls {
  const char* capability;
  std::vector<const char*> calls;
};

const std::vector<CapabilityCalls>& CallsOfCapabilities() {
  static const auto* const kTable = new std::vector<CapabilityCalls>{
      {"DAC_READ_SEARCH", {"open_by_handle_at"}},
      {"SYS_ADMIN",
       {"bpf",           "clone",       "clone3",         "fanotify_init",   "fanotify_mark", "fsconfig",
        "fsmount",       "fsopen",      "fspick",         "lookup_dcookie",  "mount",         "mount_setattr",
        "move_mount",    "open_tree",   "open_tree_attr", "perf_event_open", "quotactl",      "quotactl_fd",
        "setdomainname", "sethostname", "setns",          "syslog",          "umount",        "umount2",
        "unshare"}},
      {"SYS_BOOT", {"reboot"}},
      {"SYS_CHROOT", {"chroot"}},
      {"SYS_MODULE", {"delete_module", "init_module", "finit_module"}},
      {"SYS_PACCT", {"acct"}},
      {"SYS_PTRACE", {"kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace"}},
      {"SYS_RAWIO", {"iopl", "ioperm"}},
      {"SYS_TIME", {"clock_settime", "clock_settime64", "settimeofday", "stime"}},
      {"SYS_TTY_CONFIG", {"vhangup"}},
      {"SYS_NICE",
       {"get_mempolicy", "mbind", "migrate_pages", "move_pages", "set_mempolicy", "set_mempolicy_home_node"}},
      {"SYSLOG", {"syslog"}},
      {"BPF", {"bpf"}},
      {"PERFMON", {"perf_event_open"}}};
  return *kTable;
}

template <size_t N>
void Append(nlohmann::json& names, const char* const (&table)[N]) {
  for (const char* name : table) names.push_back(name);
}

nlohmann::json Allow(nlohmann::json names) { return {{"names", std::move(names)}, {"action", "SCMP_ACT_ALLOW"}}; }

nlohmann::json AllowIf(const char* name, unsigned index, uint64_t value, const char* op, uint64_t value_two = 0) {
  nlohmann::json rule = Allow(nlohmann::json::array({name}));
  nlohmann::json argument = {{"index", index}, {"value", value}, {"op", op}};
  if (value_two != 0 || std::string(op) == "SCMP_CMP_MASKED_EQ") argument["valueTwo"] = value_two;
  rule["args"] = nlohmann::json::array({argument});
  return rule;
}

nlohmann::json Architectures(absl::string_view architecture) {
  if (architecture == "arm64") return {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"};
  if (architecture == "amd64") return {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
  return nlohmann::json::array();  // the executor's own
}

void AddConditional(nlohmann::json& rules, uint64_t capabilities) {
  // Vsock reaches the hypervisor and other machines past the pod's network namespace.
  constexpr uint64_t kAfVsock = 40;
  rules.push_back(AllowIf("socket", 0, kAfVsock, "SCMP_CMP_NE"));
  // Personalities: query, Linux, Linux with 32-bit uname, and both with UNAME26.
  for (uint64_t personality : {0x0u, 0x8u, 0x20000u, 0x20008u, 0xffffffffu}) {
    rules.push_back(AllowIf("personality", 0, personality, "SCMP_CMP_EQ"));
  }
  if (capabilities & CapabilityBit("SYS_ADMIN")) return;
  // Every CLONE_NEW* flag must be off. clone3 hides its flags behind a pointer: the C library falls back when told that
  // there is none.
  rules.push_back(AllowIf("clone", 0, 0x7E020000, "SCMP_CMP_MASKED_EQ"));
  rules.push_back({{"names", nlohmann::json::array({"clone3"})}, {"action", "SCMP_ACT_ERRNO"}, {"errnoRet", 38}});
}

}  // namespace

nlohmann::json DefaultSeccompProfile(uint64_t capabilities, absl::string_view architecture) {
  nlohmann::json names = nlohmann::json::array();
  Append(names, kFiles);
  Append(names, kWaiting);
  Append(names, kMemory);
  Append(names, kProcesses);
  Append(names, kNetwork);
  Append(names, kIpc);
  Append(names, kSystem);
  if (architecture == "amd64") Append(names, kAmd64);
  if (architecture == "arm64") Append(names, kArm64);
  // Tracing one's own children is safe since Linux 4.8: a tracer can no longer escape the filter. Older is not
  // supported.
  for (const char* name : {"ptrace", "process_vm_readv", "process_vm_writev", "kcmp"}) names.push_back(name);
  nlohmann::json rules = nlohmann::json::array();
  rules.push_back(Allow(std::move(names)));
  for (const CapabilityCalls& entry : CallsOfCapabilities()) {
    if (capabilities & CapabilityBit(entry.capability)) rules.push_back(Allow(entry.calls));
  }
  AddConditional(rules, capabilities);
  return {{"defaultAction", "SCMP_ACT_ERRNO"},
          {"defaultErrnoRet", 1},
          {"architectures", Architectures(architecture)},
          {"syscalls", std::move(rules)}};
}

}  // namespace berth::oci
