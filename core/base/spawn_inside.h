// Starts a program in another network namespace or in cgroups, which posix_spawn cannot do.
#ifndef BERTH_CORE_BASE_SPAWN_INSIDE_H_
#define BERTH_CORE_BASE_SPAWN_INSIDE_H_

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace berth {

struct SpawnInsideOptions {
  char* const* argv = nullptr;  // argv[0] is a path
  char* const* env = nullptr;
  std::vector<std::pair<int, int>> descriptors;  // (ours, the child's), in this order
  int netns_fd = -1;                             // setns(2); -1: ours
  std::vector<std::string> cgroup_directories;   // the child joins them before the program starts
  std::string directory;                         // working directory; "": ours
};

// The child is the leader of a new process group, with nothing blocked and nothing ignored, as RunCommand's are. Like
// posix_spawn it shares our memory until the program starts (vfork) and nothing is copied. The error says which step
// failed.
absl::StatusOr<pid_t> SpawnInside(const SpawnInsideOptions& options);

}  // namespace berth

#endif  // BERTH_CORE_BASE_SPAWN_INSIDE_H_
