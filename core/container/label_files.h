// Gives what a container reads and writes its SELinux label for files.
#ifndef BERTH_CORE_CONTAINER_LABEL_FILES_H_
#define BERTH_CORE_CONTAINER_LABEL_FILES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/plugin/snapshotter.h"
#include "core/pod/pod_config.h"
#include "proto/cri/v1/api.pb.h"

namespace berth {

// All do nothing for the label "".

// The rootfs: a file system gets the label as it is mounted, for all that is in it. A bind can have none of its own, so
// what is bound is relabelled.
absl::Status LabelRootfs(const std::string& label, std::vector<RootfsMount>* mounts);

// What the pod lends to its containers: its files, and /dev/shm if that is its own.
absl::Status LabelPodFiles(const std::string& label, const PodPaths& paths, const runtime::v1::PodSandboxConfig& pod);

// The host paths of those mounts that ask for it (selinux_relabel), which exist. Blocks as long as they are large.
absl::Status LabelVolumes(const std::string& label, const runtime::v1::ContainerConfig& config);

}  // namespace berth

#endif  // BERTH_CORE_CONTAINER_LABEL_FILES_H_
