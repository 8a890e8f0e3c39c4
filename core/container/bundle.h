// The OCI bundle of a container (runtime-spec bundle.md): config.json from the CRI configuration.
#ifndef BERTH_CORE_CONTAINER_BUNDLE_H_
#define BERTH_CORE_CONTAINER_BUNDLE_H_

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/image/images.h"
#include "core/oci/host_inputs.h"
#include "core/oci/selinux.h"
#include "core/oci/spec_input.h"
#include "core/oci/volume_mount.h"
#include "core/plugin/oci_executor.h"
#include "core/pod/pod.h"
#include "core/supervisor/client.h"
#include "proto/berth/state/v1/state.pb.h"
#include "proto/cri/v1/api.pb.h"

namespace berth {

// What a container mounts from outside of its rootfs, by the paths that its runtime spec names.
struct BundleMounts {
  std::vector<oci::VolumeMount> volumes;  // config.mounts, links resolved
  std::string hostname, hosts, resolv_conf, shm;
  std::vector<std::string> pod_options;  // further ones, of the mounts of the three files
};

// Checks the configured mounts and resolves them. In a pod with a user namespace everything is also brought beside the
// rootfs in `bundle`, which exists: `mounts`, for the pod's supervisor, is added to. `executor` is asked for what some
// mounts need. Blocks as stat(2) does.
absl::StatusOr<BundleMounts> ResolveMounts(const PodView& pod, const runtime::v1::ContainerConfig& config,
                                           const std::string& state, const std::string& bundle,
                                           const ExecutorFeatures& executor, std::vector<RootfsMount>* mounts);

// Pointers are borrowed until the bundle is written.
struct BundleInput {
  std::string directory;  // the bundle: exists, with rootfs/ in it
  std::string state;      // [Config] state
  const PodView* pod = nullptr;
  const runtime::v1::ContainerConfig* config = nullptr;
  std::string cgroups_path;  // linux.cgroupsPath
  const ImageRecord* image = nullptr;
  const Supervisor* supervisor = nullptr;
  BundleMounts mounts;
  const oci::CgroupFacts* cgroup = nullptr;
  oci::SelinuxLabels labels;
  int32_t target_pid = 0;  // of the container whose PID namespace is joined; 0: none
};

// What is known of config.json before the rootfs is mounted, which is most of it: it is made while that is done.
struct BundleDraft {
  oci::SpecInput input;
  nlohmann::json spec;
  int stop_signal = 0;
};
absl::StatusOr<std::unique_ptr<BundleDraft>> DraftBundle(const BundleInput& input);

// Completes the draft, writes config.json, and into the record what was found out on the way: user, groups, stop
// signal. `rootfs_fd` is the mounted rootfs: users are looked up and directories are made there.
absl::Status WriteBundle(const BundleInput& input, BundleDraft* draft, int rootfs_fd, state::v1::Container* record);

// Makes the host directories that are to be mounted and do not exist, as containerd does.
absl::Status MakeMountSources(const runtime::v1::ContainerConfig& config);

}  // namespace berth

#endif  // BERTH_CORE_CONTAINER_BUNDLE_H_
