// The processes of a cgroup and of all below it: whether there are any, and their end.
#include <fcntl.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/failpoint.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/pod/cgroup.h"
#include "core/pod/cgroup_walk.h"

namespace berth {
namespace {

constexpr uint64_t kMostProcsBytes = 64 << 20;

std::vector<pid_t> ProcessesIn(const std::string& directory) {
  std::vector<pid_t> pids;
  const auto text = ReadFile(directory + "/cgroup.procs", kMostProcsBytes);
  for (absl::string_view line : absl::StrSplit(text.value_or(""), '\n', absl::SkipEmpty())) {
    int pid = 0;
    if (absl::SimpleAtoi(line, &pid) && pid > 1) pids.push_back(pid);
  }
  return pids;
}

void WriteIfThere(const std::string& file, absl::string_view text) {
  // failpoint: cgroup.kill
  if (auto fd = OpenFile(file, O_WRONLY); fd.ok()) WriteAll(fd->get(), text).IgnoreError();
}

// A hierarchy's root has every process of the machine in it or below.
bool IsRoot(const std::string& path) { return path.find_first_not_of('/') == path.npos; }

}  // namespace

absl::Status CgroupTree::Kill(const std::string& path) const {
  if (IsRoot(path)) return absl::InvalidArgumentError("kill the processes of a cgroup: it is the machine's root");
  RETURN_IF_ERROR(Failpoint("cgroup.kill"));
  absl::Status first;
  for (const std::string& hierarchy : hierarchies_) {
    const std::string top = hierarchy + path;
    if (version_ == 2) {
      // Linux 5.14. It also reaches what is frozen, and what forks meanwhile.
      if (auto fd = OpenFile(top + "/cgroup.kill", O_WRONLY); fd.ok() && WriteAll(fd->get(), "1").ok()) continue;
    }
    for (const std::string& group : GroupsFrom(top)) {
      WriteIfThere(group + (version_ == 2 ? "/cgroup.freeze" : "/freezer.state"), version_ == 2 ? "0" : "THAWED");
      for (const pid_t pid : ProcessesIn(group)) {
        // failpoint: cgroup.kill
        if (kill(pid, SIGKILL) != 0 && errno != ESRCH) first.Update(ErrnoStatus(absl::StrCat("kill process ", pid)));
      }
    }
  }
  return first;
}

bool CgroupTree::Populated(const std::string& path) const {
  if (IsRoot(path)) return true;
  return std::any_of(hierarchies_.begin(), hierarchies_.end(), [&](const std::string& hierarchy) {
    if (version_ == 2) {
      // The kernel counts what is below, too.
      return absl::StrContains(ReadFile(hierarchy + path + "/cgroup.events").value_or(""), "populated 1");
    }
    const std::vector<std::string> groups = GroupsFrom(hierarchy + path);
    return std::any_of(groups.begin(), groups.end(), [](const auto& group) { return !ProcessesIn(group).empty(); });
  });
}

}  // namespace berth
