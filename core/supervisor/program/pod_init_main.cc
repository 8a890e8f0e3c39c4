// PID 1 of a shared pid namespace: reaps, and is nothing a container could take hold of.
//
// Containers of the pod see it as /proc/1. It was executed from a sealed memfd with an empty read-only root, no
// descriptor but the readiness pipe, no environment and empty capability sets (pod_init.cc); here it takes the rest
// away from itself. A few kilobytes without any library: it exists once per pod.
#include <asm/unistd.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bare_call.h"

namespace berth {
namespace {

constexpr long kSigKill = 9, kSigChld = 17;
constexpr long kSigBlock = 0, kWnohang = 1;

#if defined(__x86_64__)
constexpr uint32_t kArch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArch = AUDIT_ARCH_AARCH64;
#endif

[[noreturn]] void Exit(long code) {
  for (;;) BareCall(__NR_exit_group, code);
}

void Must(long result, long step) {
  if (result < 0) Exit(step);
}

// Waiting for children, closing the readiness pipe and ending: nothing else. Anything else kills.
long Filter() {
  const sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArch, 0, 6),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_wait4, 5, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_rt_sigtimedwait, 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_close, 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_restart_syscall, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_exit_group, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog all = {sizeof(program) / sizeof(program[0]), const_cast<sock_filter*>(program)};
  return BareCall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, BareAddress(&all));
}

void DropCapabilities() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  Must(BareCall(__NR_capset, BareAddress(&header), BareAddress(none)), 12);
}

}  // namespace

extern "C" [[noreturn]] void PodInit() {
  // When the supervisor dies nobody is left who could report exits: the pod ends with it.
  Must(BareCall(__NR_prctl, PR_SET_PDEATHSIG, kSigKill), 10);
  Must(BareCall(__NR_prctl, PR_SET_DUMPABLE, 0), 11);
  Must(BareCall(__NR_prctl, PR_SET_NAME, BareAddress("berth-init")), 16);
  DropCapabilities();
  Must(BareCall(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1), 13);
  const uint64_t child_signal = 1ULL << (kSigChld - 1);
  Must(BareCall(__NR_rt_sigprocmask, kSigBlock, BareAddress(&child_signal), 0, sizeof(child_signal)), 14);
  Must(Filter(), 15);
  BareCall(__NR_close, 0);  // the supervisor reads the end of file, and then this process's status
  for (;;) {
    while (BareCall(__NR_wait4, -1, 0, kWnohang, 0) > 0) {
    }
    BareCall(__NR_rt_sigtimedwait, BareAddress(&child_signal), 0, 0, sizeof(child_signal));
  }
}

BERTH_BARE_ENTRY(PodInit);

}  // namespace berth
