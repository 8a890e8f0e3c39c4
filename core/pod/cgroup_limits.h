// The limits of one cgroup as its files hold them: read before a change, so that exactly these can be put back.
#ifndef BERTH_CORE_POD_CGROUP_LIMITS_H_
#define BERTH_CORE_POD_CGROUP_LIMITS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/pod/cgroup.h"

namespace berth {

// Name of the file in the group's directory ("memory.max", "cpu.shares") -> its content without the last line feed.
using CgroupLimits = std::map<std::string, std::string>;

// What CRI's LinuxContainerResources can change in the group `path`, and the files of `also`, as far as they are there.
CgroupLimits ReadLimits(const CgroupTree& tree, const std::string& path, const std::vector<std::string>& also = {});

// Makes these limits hold: files that say so already are left alone. The kernel takes some values only in an order
// (memory within memory and swap, a quota within its period's): what is refused is tried again after the others. A file
// of several lines is written line by line: entries that it gained stay. OK when the group is gone.
absl::Status WriteLimits(const CgroupTree& tree, const std::string& path, const CgroupLimits& limits);

}  // namespace berth

#endif  // BERTH_CORE_POD_CGROUP_LIMITS_H_
