// The groups of a cgroup hierarchy as directories.
#ifndef BERTH_CORE_POD_CGROUP_WALK_H_
#define BERTH_CORE_POD_CGROUP_WALK_H_

#include <string>
#include <vector>

namespace berth {

// The directory of a group and those of all below it, parents before their children. A container may nest them as deep
// as a path can name. Empty when `top` is gone; what comes or goes meanwhile may be missing or too many.
std::vector<std::string> GroupsFrom(const std::string& top);

}  // namespace berth

#endif  // BERTH_CORE_POD_CGROUP_WALK_H_
