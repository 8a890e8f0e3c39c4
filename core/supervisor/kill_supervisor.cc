// Ends a supervisor that does not answer.
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/base/unique_fd.h"
#include "core/supervisor/client.h"

namespace berth {
namespace {

// Started as `.../supervisor-BUILDID POD`. A zombie has no command line.
bool IsSupervisorOf(pid_t pid, const std::string& pod_id) {
  const auto text = ReadFile(absl::StrCat("/proc/", pid, "/cmdline"), 8192);
  if (!text.ok()) return false;
  const std::vector<std::string> words = absl::StrSplit(*text, '\0');
  return words.size() == 3 && words[1] == pod_id && absl::StrContains(words[0], "/supervisor-");
}

}  // namespace

absl::Status KillSupervisor(pid_t pid, const std::string& pod_id) {
  const std::string what = absl::StrCat("kill process ", pid, ", the supervisor of pod ", pod_id);
  if (pid <= 1) return absl::OkStatus();
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process) return errno == ESRCH ? absl::OkStatus() : ErrnoStatus(what);
  if (!IsSupervisorOf(pid, pod_id)) return absl::OkStatus();
  if (syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0) != 0 && errno != ESRCH) {
    return ErrnoStatus(what);
  }
  return absl::OkStatus();
}

}  // namespace berth
