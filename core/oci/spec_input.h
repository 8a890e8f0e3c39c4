// Everything a runtime spec is made of: the CRI configuration, and what the machine, the image and the pod contribute.
#ifndef BERTH_CORE_OCI_SPEC_INPUT_H_
#define BERTH_CORE_OCI_SPEC_INPUT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/oci/host_inputs.h"
#include "core/oci/image_spec.h"
#include "core/oci/selinux.h"
#include "core/oci/user.h"
#include "core/oci/user_namespace.h"
#include "core/oci/volume_mount.h"
#include "proto/cri/v1/api.pb.h"

namespace berth::oci {

enum class PidMode : uint8_t { kNew, kPath, kHost };

struct SpecInput {
  const runtime::v1::ContainerConfig& config;
  const runtime::v1::PodSandboxConfig& pod;
  std::string sandbox_id;
  std::string image_name;  // for an annotation; "" leaves it out
  ContainerDefaults image;
  HostInputs host;

  std::string rootfs;        // absolute
  std::string cgroups_path;  // linux.cgroupsPath in the executor's form
  ResolvedUser user;
  SelinuxLabels labels;

  // Namespaces to join, as paths; "" stays in the executor's own. Mounts (and cgroups on v2) are always new.
  std::string network_ns, ipc_ns, uts_ns;
  PidMode pid_mode = PidMode::kNew;
  std::string pid_ns;   // of kPath
  std::string user_ns;  // "" the node's; else `ids` are its maps
  std::optional<IdMaps> ids;

  // The pod's files on the host; "" is not mounted. A mount of the configuration at the same place wins.
  std::string hostname_file, hosts_file, resolv_conf_file;
  std::vector<std::string> pod_file_options;  // further ones, of the mounts of these three
  std::string shm;                            // directory mounted at /dev/shm
  std::string hostname;                       // $HOSTNAME; "" none

  std::vector<VolumeMount> volumes;  // config.mounts, resolved, in their order
};

}  // namespace berth::oci

#endif  // BERTH_CORE_OCI_SPEC_INPUT_H_
