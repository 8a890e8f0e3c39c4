// oom_score_adj of a container's processes: no executor's update changes it, since it is no cgroup's file.
#ifndef BERTH_CORE_CONTAINER_OOM_SCORE_H_
#define BERTH_CORE_CONTAINER_OOM_SCORE_H_

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"

namespace berth {

// Of one process.
absl::StatusOr<int> ReadOomScoreAdj(pid_t pid);

// Gives `first` the value, and every process of the group whose `procs_file` (cgroup.procs) is given that has the value
// that `first` had; those that chose their own keep it. Children that are forked meanwhile are found, too. Without
// CAP_SYS_RESOURCE a value below the daemon's own becomes that, as it does when a container is made. Answers the value
// that holds. kNotFound when `first` has ended.
absl::StatusOr<int> SetOomScoreAdj(pid_t first, const std::string& procs_file, int value);

}  // namespace berth

#endif  // BERTH_CORE_CONTAINER_OOM_SCORE_H_
