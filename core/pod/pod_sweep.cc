// What bears a pod's name of ours and belongs to no record: a power cut may have taken the last intents back, so what
// exists is looked at.
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/base/failpoint.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/base/unique_fd.h"
#include "core/pod/pod_config.h"
#include "core/pod/pods.h"
#include "core/supervisor/starter.h"

namespace berth {
namespace {

constexpr char kNetnsDirectory[] = "/run/netns";
constexpr char kNetnsPrefix[] = "berth-";
constexpr int kKillMillis = 5000;

std::string ProgramOf(pid_t pid) {
  char path[PATH_MAX];
  const ssize_t size = readlink(absl::StrCat("/proc/", pid, "/exe").c_str(), path, sizeof(path));
  return size > 0 && size < PATH_MAX ? std::string(path, static_cast<size_t>(size)) : std::string();
}

// By the pod that is their first argument, also those whose directory is gone. `program` is the one that this daemon
// starts; those of other versions lie beside it.
std::map<std::string, std::vector<pid_t>> RunningSupervisors(const std::string& program) {
  std::map<std::string, std::vector<pid_t>> found;
  char directory[PATH_MAX];
  if (realpath(program.substr(0, program.rfind('/')).c_str(), directory) == nullptr) return found;
  const auto names = ListDir("/proc");
  for (const std::string& name : names.value_or(std::vector<std::string>())) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(name, &pid) || !absl::StartsWith(ProgramOf(pid), absl::StrCat(directory, "/supervisor-"))) {
      continue;
    }
    const std::string command_line = ReadFile(absl::StrCat("/proc/", pid, "/cmdline")).value_or("");
    const std::vector<std::string> words = absl::StrSplit(command_line, '\0');
    if (words.size() > 1) found[words[1]].push_back(pid);
  }
  return found;
}

// What it held dies with it but for the containers, which their own sweep ends.
absl::Status EndStray(pid_t pid, const std::string& id) {
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process) return errno == ESRCH ? absl::OkStatus() : ErrnoStatus(absl::StrCat("open process ", pid));
  RETURN_IF_ERROR(KillSupervisor(pid, id));  // failpoint: pod.sweep.supervisor
  pollfd ended{process.get(), POLLIN, 0};
  if (poll(&ended, 1, kKillMillis) == 1) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("process ", pid, " was killed and does not end"));
}

}  // namespace

void Pods::Sweep() {
  std::map<std::string, std::vector<pid_t>> strays;
  // Listed first and looked up then: an id is in the table as long as anything may be named by it.
  const auto look = [&](const std::string& id) {
    if (env_.ids->Owns(id) && !Knows(id)) strays[id];
  };
  const std::map<std::string, std::vector<pid_t>> supervisors = RunningSupervisors(env_.starter->program());
  for (const auto& [id, pids] : supervisors) look(id);
  for (const char* part : {"/pods", "/ns"}) {
    const auto names = ListDir(env_.config->state + part);
    for (const std::string& id : names.value_or(std::vector<std::string>())) look(id);
  }
  const auto pins = ListDir(kNetnsDirectory);
  for (const std::string& name : pins.value_or(std::vector<std::string>())) {
    if (absl::StartsWith(name, kNetnsPrefix)) look(std::string(absl::StripPrefix(name, kNetnsPrefix)));
  }
  for (auto& [id, pids] : strays) {
    if (const auto running = supervisors.find(id); running != supervisors.end()) pids = running->second;
    LogWarn("what is left of a pod sandbox without a record is removed", {{"pod", id}});
    if (absl::Status swept = SweepPod(id, pids); !swept.ok()) {
      LogWarn("sweep a pod sandbox; the next start tries again", {{"pod", id}, {"error", swept.message()}});
    }
  }
}

absl::Status Pods::SweepPod(const std::string& id, const std::vector<pid_t>& supervisors) {
  for (const pid_t pid : supervisors) {
    RETURN_IF_ERROR(Failpoint("pod.sweep.supervisor"));
    RETURN_IF_ERROR(EndStray(pid, id));
  }
  const PodPaths paths(env_.config->state, id);
  PodSpec pins;
  pins.netns_pin = paths.netns;
  pins.shm_path = paths.shm;
  pins.user_ns_path = paths.user_ns;
  RETURN_IF_ERROR(Failpoint("pod.sweep.pins"));
  RETURN_IF_ERROR(ReleasePins(pins));
  RETURN_IF_ERROR(Failpoint("pod.sweep.directory"));
  return RemoveTree(paths.directory);
}

}  // namespace berth
