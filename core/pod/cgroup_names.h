// Where the cgroups of pods and containers are, by cgroup driver. Pure functions.
#ifndef BERTH_CORE_POD_CGROUP_NAMES_H_
#define BERTH_CORE_POD_CGROUP_NAMES_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/config/config.h"

namespace berth {

// The pod's group as an absolute path in the hierarchies. `parent` is CRI's linux.cgroup_parent, `fallback` is taken
// when that is empty.
//
// With systemd it is a slice (systemd.slice(5)): the last part of a parent that ends in ".slice" names it; any other
// parent is translated as the kubelet does it ("/kubepods/pod-1" is kubepods-pod_1.slice). A slice lies in the slices
// that its name says: /kubepods.slice/kubepods-pod_1.slice.
// kInvalidArgument for what is no path or no slice; kFailedPrecondition for a slice under cgroupfs, where the kubelet's
// driver is another than ours.
absl::StatusOr<std::string> PodCgroup(CgroupDriver driver, absl::string_view parent, absl::string_view fallback);

// Of a container in the pod's group: a directory of its id, or with systemd its scope, berth-ID.scope.
std::string ContainerCgroup(CgroupDriver driver, absl::string_view pod_cgroup, absl::string_view id);

// The same as runtime-spec linux.cgroupsPath: a path, or with systemd "SLICE:PREFIX:NAME". kFailedPrecondition when the
// pod's group was made by another driver.
absl::StatusOr<std::string> CgroupsPath(CgroupDriver driver, absl::string_view pod_cgroup, absl::string_view id);

// The id in the name of a container's or pod sandbox's group: its last part, or what systemd's scope makes of it. ""
// for another name; whose id it is remains to be asked.
absl::string_view IdInCgroupName(absl::string_view path);

}  // namespace berth

#endif  // BERTH_CORE_POD_CGROUP_NAMES_H_
