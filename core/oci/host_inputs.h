// What a runtime spec needs to know of this machine: read once per container, so that the rest is a pure function.
#ifndef BERTH_CORE_OCI_HOST_INPUTS_H_
#define BERTH_CORE_OCI_HOST_INPUTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/oci/apparmor.h"
#include "proto/cri/v1/api.pb.h"

namespace berth::oci {

// A device node and what a container may do with it.
struct DeviceNode {
  std::string path;  // in the container
  char type = 'c';   // c, b, p
  int64_t major = 0, minor = 0;
  uint32_t mode = 0;  // permission bits
  uint32_t uid = 0, gid = 0;
  std::string access = "rwm";
};

// What the machine's cgroups offer: limits that cannot be set are left out of a spec instead of failing it.
struct CgroupFacts {
  int version = 2;
  bool swap = true;  // swap can be limited
  bool hugetlb = true;
};

struct HostInputs {
  CgroupFacts cgroup;
  std::string architecture;              // Go's name of it
  uint64_t capabilities = ~0ull;         // bit N: this process can give away capability number N
  std::optional<int> min_oom_score_adj;  // set when this process may not go below it
  AppArmorFacts apparmor;
  std::vector<DeviceNode> devices;  // of the configuration; all of the host's when privileged
  std::string seccomp_profile;      // text of a Localhost profile
};

// Never changes while the daemon runs.
CgroupFacts ReadCgroupFacts(int cgroup_version, const std::string& mount_point = "/sys/fs/cgroup");

// The devices of config.devices and the profile that it names are read here. kInvalidArgument or kNotFound for a device
// or a profile that is none. May block on what the configuration names: not on a thread that must answer.
absl::StatusOr<HostInputs> ReadHostInputs(const runtime::v1::ContainerConfig& config, const CgroupFacts& cgroup,
                                          const AppArmorPlaces& apparmor = {});

}  // namespace berth::oci

#endif  // BERTH_CORE_OCI_HOST_INPUTS_H_
