// The cgroup hierarchies of this machine, as far as pods need them: version, directories, OOM counts.
#ifndef BERTH_CORE_POD_CGROUP_H_
#define BERTH_CORE_POD_CGROUP_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace berth {

// Immutable after Detect; any thread.
class CgroupTree {
 public:
  // Looks at /sys/fs/cgroup: a unified hierarchy is version 2, one directory for each controller is version 1. Hybrid
  // (v1 with a unified mount beside it) counts as version 1.
  static absl::StatusOr<CgroupTree> Detect(const std::string& mount_point = "/sys/fs/cgroup");

  int version() const { return version_; }

  // Makes `path` (as in CRI's cgroup_parent) in every hierarchy, parents too.
  absl::Status Make(const std::string& path) const;
  // Moves a process into the group, in every hierarchy.
  absl::Status Join(const std::string& path, pid_t pid) const;
  // Removes the group itself, in every hierarchy. OK if it is gone.
  absl::Status Remove(const std::string& path) const;
  // The same with all groups below it, once the processes in them are killed and gone. kUnavailable when one of them is
  // still there after a second (state D).
  absl::Status RemoveWithProcesses(const std::string& path) const;
  // Calls `visit` with the path of every group there is, in every hierarchy: so with some paths several times.
  void ForEachGroup(const std::function<void(const std::string& path)>& visit) const;
  bool Exists(const std::string& path) const;

  // SIGKILL to every process in the group and below it, thawed first where a frozen one would not die. One round: what
  // forks meanwhile needs another, see Populated. OK if the group is gone; kInvalidArgument for the root.
  absl::Status Kill(const std::string& path) const;
  // Whether a process lives in the group or below it, in any hierarchy.
  bool Populated(const std::string& path) const;

  // The file `name` of the group `path`, in the hierarchy of the controller that its name begins with ("memory.max",
  // "cpu.shares"; "cgroup.procs" is in each). "" when there is no such hierarchy.
  std::string FileOf(const std::string& path, const std::string& name) const;

  // How often the OOM killer has hit the group: memory.events `oom_kill`, or memory.oom_control `oom_kill`. 0 when
  // unknown.
  uint64_t OomKills(const std::string& path) const;

 private:
  int version_ = 2;
  std::vector<std::string> hierarchies_;            // directories
  std::map<std::string, std::string> controllers_;  // of version 1: name -> directory
  std::string memory_;                              // the hierarchy that has the memory controller; "" none
};

}  // namespace berth

#endif  // BERTH_CORE_POD_CGROUP_H_
