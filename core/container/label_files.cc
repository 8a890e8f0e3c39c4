#include "core/container/label_files.h"

#include "absl/strings/str_cat.h"
#include "core/base/failpoint.h"
#include "core/base/status.h"
#include "core/container/relabel.h"

namespace berth {

absl::Status LabelRootfs(const std::string& label, std::vector<RootfsMount>* mounts) {
  if (label.empty()) return absl::OkStatus();
  for (RootfsMount& mount : *mounts) {
    if (mount.type == "bind") {
      RETURN_IF_ERROR(Failpoint("container.rootfs.relabel"));
      RETURN_IF_ERROR(RelabelTree(mount.source, label));
    } else {
      // In quotes, as the kernel wants what has commas.
      mount.options.push_back(absl::StrCat("context=\"", label, "\""));
    }
  }
  return absl::OkStatus();
}

absl::Status LabelPodFiles(const std::string& label, const PodPaths& paths, const runtime::v1::PodSandboxConfig& pod) {
  if (label.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(Failpoint("container.pod_files.relabel"));
  for (const std::string& file : {paths.hostname, paths.hosts, paths.resolv_conf}) {
    RETURN_IF_ERROR(RelabelTree(file, label));
  }
  const bool own_ipc = pod.linux().security_context().namespace_options().ipc() == runtime::v1::NamespaceMode::POD;
  return own_ipc ? RelabelTree(paths.shm, label) : absl::OkStatus();
}

absl::Status LabelVolumes(const std::string& label, const runtime::v1::ContainerConfig& config) {
  if (label.empty()) return absl::OkStatus();
  for (const runtime::v1::Mount& mount : config.mounts()) {
    if (!mount.selinux_relabel()) continue;
    RETURN_IF_ERROR(Failpoint("container.volume.relabel"));
    RETURN_IF_ERROR(Annotate(RelabelTree(mount.host_path(), label), absl::StrCat("mount at ", mount.container_path())));
  }
  return absl::OkStatus();
}

}  // namespace berth
