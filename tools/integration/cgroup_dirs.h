// The cgroup hierarchies of this machine as directories.
#ifndef BERTH_TOOLS_INTEGRATION_CGROUP_DIRS_H_
#define BERTH_TOOLS_INTEGRATION_CGROUP_DIRS_H_

#include <string>
#include <vector>

namespace berth {

// Mount points of all cgroup file systems (v1 and v2).
std::vector<std::string> CgroupMounts();

// Every cgroup whose path contains `mark`, in all hierarchies, parents before children.
std::vector<std::string> CgroupsWith(const std::string& mark);

// Removes them, killing what still runs in them.
void RemoveCgroups(const std::string& mark);

}  // namespace berth

#endif  // BERTH_TOOLS_INTEGRATION_CGROUP_DIRS_H_
