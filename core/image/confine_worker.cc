// ConfinePullWorker.
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "core/base/file.h"
#include "core/base/status.h"
#include "core/image/pull_worker.h"

namespace berth {
namespace {

absl::Status SetLimit(__rlimit_resource resource, rlim_t value) {
  rlimit limit;
  if (getrlimit(resource, &limit) != 0) return ErrnoStatus("getrlimit");
  limit.rlim_max = std::min(limit.rlim_max, value);
  limit.rlim_cur = std::min(limit.rlim_cur, limit.rlim_max);
  return setrlimit(resource, &limit) == 0 ? absl::OkStatus() : ErrnoStatus("setrlimit");
}

// What is needed to write files of any owner, with devices, capabilities and overlayfs's marks, and nothing else.
constexpr int kKeptCapabilities[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER,   CAP_FSETID,
                                     CAP_MKNOD, CAP_SETFCAP,      CAP_SYS_ADMIN};

absl::Status DropCapabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) return ErrnoStatus("capget");
  uint64_t kept = 0;
  for (int capability : kKeptCapabilities) kept |= uint64_t{1} << capability;
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
    if ((kept >> capability & 1) != 0) continue;
    // Without CAP_SETPCAP the set can't be narrowed; no_new_privs holds all the same.
    if (prctl(PR_CAPBSET_DROP, capability) != 0 && errno != EPERM) return ErrnoStatus("drop capabilities");
  }
  for (int i = 0; i < 2; ++i) {
    const uint32_t mask = static_cast<uint32_t>(kept >> (32 * i));
    data[i].effective &= mask;
    data[i].permitted &= mask;
    data[i].inheritable = 0;
  }
  return syscall(SYS_capset, &header, data) == 0 ? absl::OkStatus() : ErrnoStatus("capset");
}

}  // namespace

absl::Status ConfinePullWorker() {
  [[maybe_unused]] constexpr rlim_t kMaxData = rlim_t{2} << 30;
  umask(022);
  // Best effort: a sandbox may forbid it, and the pull works without.
  // no failpoint: of the worker itself
  if (auto fd = OpenFile("/proc/self/oom_score_adj", O_WRONLY); fd.ok()) (void)WriteAll(fd->get(), "700");
  RETURN_IF_ERROR(SetLimit(RLIMIT_CORE, 0));
#if !defined(__SANITIZE_ADDRESS__) && !defined(BERTH_TSAN)  // their shadow memory counts, too
  RETURN_IF_ERROR(SetLimit(RLIMIT_DATA, kMaxData));
#endif
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return ErrnoStatus("set no_new_privs");
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return ErrnoStatus("clear dumpable");
  return DropCapabilities();
}

}  // namespace berth
