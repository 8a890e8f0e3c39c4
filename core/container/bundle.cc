#include "core/container/bundle.h"

#include <fcntl.h>

#include <climits>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/failpoint.h"
#include "core/base/file.h"
#include "core/base/file_identity.h"
#include "core/base/log.h"
#include "core/base/path.h"
#include "core/base/status.h"
#include "core/container/beside_mounts.h"
#include "core/container/container_config.h"
#include "core/container/image_volumes.h"
#include "core/oci/mount_propagation.h"
#include "core/oci/runtime_spec.h"
#include "core/oci/user.h"
#include "core/oci/user_namespace.h"
#include "core/oci/volume_mount.h"
#include "core/pod/pod_config.h"

namespace berth {
namespace {

using runtime::v1::ContainerConfig;
using runtime::v1::NamespaceMode;

absl::StatusOr<std::string> ResolveLinks(const std::string& path) {
  char resolved[PATH_MAX];
  if (realpath(path.c_str(), resolved) == nullptr) return ErrnoStatus("mount " + path);
  return std::string(resolved);
}

absl::StatusOr<std::vector<oci::VolumeMount>> Volumes(const ContainerConfig& config, const std::string& bundle,
                                                      const ExecutorFeatures& executor) {
  std::vector<oci::VolumeMount> volumes;
  for (const runtime::v1::Mount& mount : config.mounts()) {
    ASSIGN_OR_RETURN(const std::string source, ResolveLinks(mount.host_path()));
    ASSIGN_OR_RETURN(oci::VolumeMount volume, oci::CheckVolumeMount(mount, source, executor.recursive_read_only));
    RETURN_IF_ERROR(Annotate(oci::CheckPropagation(source, volume.propagation, bundle),
                             absl::StrCat("mount at ", volume.destination)));
    volumes.push_back(std::move(volume));
  }
  return volumes;
}

absl::StatusOr<std::optional<oci::IdMaps>> IdMapsOf(const PodView& pod) {
  return oci::IdMapsOf(pod.config->linux().security_context().namespace_options());
}

bool HasOwnIpc(const PodView& pod) {
  return pod.config->linux().security_context().namespace_options().ipc() == NamespaceMode::POD;
}

// Which namespaces are joined. A namespace of the host is none in the spec: the executor's own is the host's.
void JoinNamespaces(const BundleInput& in, oci::SpecInput* spec) {
  const auto& options = in.config->linux().security_context().namespace_options();
  if (!UsesHostNetwork(*in.pod->config)) {
    spec->network_ns = in.supervisor->net_ns_path();
    spec->uts_ns = in.supervisor->uts_ns_path();
    spec->hostname = in.pod->config->hostname();
  }
  if (spec->ids) spec->user_ns = PodPaths(in.state, in.pod->record.id()).user_ns;
  if (HasOwnIpc(*in.pod)) {
    spec->ipc_ns = in.supervisor->ipc_ns_path();
  }
  switch (options.pid()) {
    case NamespaceMode::NODE:
      spec->pid_mode = oci::PidMode::kHost;
      break;
    case NamespaceMode::TARGET:
      spec->pid_mode = oci::PidMode::kPath;
      spec->pid_ns = absl::StrCat("/proc/", in.target_pid, "/ns/pid");
      break;
    case NamespaceMode::POD:
      spec->pid_ns = in.supervisor->pid_ns_path();
      spec->pid_mode = spec->pid_ns.empty() ? oci::PidMode::kNew : oci::PidMode::kPath;
      break;
    default:
      break;
  }
}

absl::Status MakeWorkingDirectory(const oci::SpecInput& spec, int rootfs_fd) {
  const std::string& wanted = spec.config.working_dir().empty() ? spec.image.working_dir : spec.config.working_dir();
  if (wanted.empty() || wanted == "/") return absl::OkStatus();
  RETURN_IF_ERROR(CheckAbsolutePath(wanted, "the image's WorkingDir"));
  // failpoint: container.bundle.write
  return Annotate(MakeDirsInRoot(rootfs_fd, wanted).status(), "make the working directory");
}

// What the container needs in its rootfs, made as the pod's root: under an id-mapped mount the node's owns nothing.
absl::StatusOr<std::vector<oci::VolumeMount>> MakeDirectories(const oci::SpecInput& spec, int rootfs_fd) {
  std::unique_ptr<FileIdentity> identity;
  if (spec.ids) {
    ASSIGN_OR_RETURN(identity, FileIdentity::Assume(spec.ids->uids.host, spec.ids->gids.host));
  }
  RETURN_IF_ERROR(MakeWorkingDirectory(spec, rootfs_fd));
  return ImageVolumes(rootfs_fd, spec.image.volumes, spec.volumes);
}

// Said once: a daemon that lacks CAP_SYS_RESOURCE lacks it for every container.
void TellClampedOomScore(const BundleInput& in, const oci::HostInputs& host) {
  const int64_t wanted = in.config->linux().resources().oom_score_adj();
  if (!host.min_oom_score_adj || wanted >= *host.min_oom_score_adj) return;
  static std::once_flag told;
  std::call_once(told, [&] {
    LogWarn("oom_score_adj of containers is kept at the daemon's own: it has no CAP_SYS_RESOURCE to lower it",
            {{"wanted", wanted}, {"least", *host.min_oom_score_adj}, {"container", in.config->metadata().name()}});
  });
}

void RecordUser(const oci::ResolvedUser& user, state::v1::Container* record) {
  record->set_uid(user.uid);
  record->set_gid(user.gid);
  record->clear_supplemental_groups();
  for (const uint32_t gid : user.additional_gids) record->add_supplemental_groups(gid);
}

}  // namespace

absl::StatusOr<BundleMounts> ResolveMounts(const PodView& pod, const ContainerConfig& config, const std::string& state,
                                           const std::string& bundle, const ExecutorFeatures& executor,
                                           std::vector<RootfsMount>* mounts) {
  const PodPaths paths(state, pod.record.id());
  BundleMounts out;
  ASSIGN_OR_RETURN(out.volumes, Volumes(config, bundle, executor));
  out.hostname = paths.hostname;
  out.hosts = paths.hosts;
  out.resolv_conf = paths.resolv_conf;
  out.shm = HasOwnIpc(pod) ? paths.shm : "/dev/shm";
  ASSIGN_OR_RETURN(const std::optional<oci::IdMaps> ids, IdMapsOf(pod));
  if (!ids) return out;
  BesideMounts beside(bundle, mounts);
  for (oci::VolumeMount& volume : out.volumes) {
    ASSIGN_OR_RETURN(volume.source, beside.Add(volume.source, volume.id_mapped, &volume.options));
  }
  // These are the pod's root's already. The three files are in one directory, and shm stays as it is mounted.
  std::vector<std::string> unused;
  ASSIGN_OR_RETURN(out.shm, beside.Add(out.shm, /*id_mapped=*/false, &unused));
  ASSIGN_OR_RETURN(out.hostname, beside.Add(out.hostname, /*id_mapped=*/false, &out.pod_options));
  ASSIGN_OR_RETURN(out.hosts, beside.Add(out.hosts, /*id_mapped=*/false, &unused));
  ASSIGN_OR_RETURN(out.resolv_conf, beside.Add(out.resolv_conf, /*id_mapped=*/false, &unused));
  return out;
}

absl::StatusOr<std::unique_ptr<BundleDraft>> DraftBundle(const BundleInput& in) {
  ASSIGN_OR_RETURN(oci::ImageConfig image, oci::ParseImageConfig(in.image->config));
  auto draft = std::make_unique<BundleDraft>(BundleDraft{{*in.config, *in.pod->config}, {}, 0});
  ASSIGN_OR_RETURN(draft->stop_signal, StopSignalOf(*in.config, image.config.stop_signal));
  oci::SpecInput& spec = draft->input;
  spec.sandbox_id = in.pod->record.id();
  spec.image_name = in.config->image().image();
  ASSIGN_OR_RETURN(spec.host, oci::ReadHostInputs(*in.config, *in.cgroup));
  TellClampedOomScore(in, spec.host);
  spec.rootfs = in.directory + "/rootfs";
  spec.cgroups_path = in.cgroups_path;
  spec.labels = in.labels;
  spec.volumes = in.mounts.volumes;
  ASSIGN_OR_RETURN(spec.ids, IdMapsOf(*in.pod));
  spec.image = std::move(image.config);
  JoinNamespaces(in, &spec);
  spec.hostname_file = in.mounts.hostname;
  spec.hosts_file = in.mounts.hosts;
  spec.resolv_conf_file = in.mounts.resolv_conf;
  spec.shm = in.mounts.shm;
  spec.pod_file_options = in.mounts.pod_options;
  ASSIGN_OR_RETURN(draft->spec, oci::BeginSpec(spec));
  // Under systemd crun would put the container into a group below its scope, and the limits of its creation only there.
  if (!absl::StartsWith(in.cgroups_path, "/")) draft->spec["annotations"]["run.oci.systemd.subgroup"] = "";
  return draft;
}

absl::Status WriteBundle(const BundleInput& in, BundleDraft* draft, int rootfs_fd, state::v1::Container* record) {
  RETURN_IF_ERROR(Failpoint("container.bundle.write"));
  oci::SpecInput& spec = draft->input;
  ASSIGN_OR_RETURN(spec.user, oci::ResolveUser(rootfs_fd, in.config->linux().security_context(), spec.image.user));
  ASSIGN_OR_RETURN(std::vector<oci::VolumeMount> of_image, MakeDirectories(spec, rootfs_fd));
  std::move(of_image.begin(), of_image.end(), std::back_inserter(spec.volumes));
  RETURN_IF_ERROR(oci::FinishSpec(spec, &draft->spec));
  RecordUser(spec.user, record);
  record->set_stop_signal(draft->stop_signal);
  // Environment values may be any octets, JSON may not: what is no UTF-8 is replaced.
  const std::string text = draft->spec.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return WriteFileAtomic(in.directory + "/config.json", text, 0600, Durability::kVolatile);
}

absl::Status MakeMountSources(const ContainerConfig& config) {
  for (const runtime::v1::Mount& mount : config.mounts()) {
    auto there = OpenFile(mount.host_path(), O_PATH);
    if (absl::IsNotFound(there.status())) {
      RETURN_IF_ERROR(Failpoint("container.mount_source.make"));
      RETURN_IF_ERROR(Annotate(MakeDirs(mount.host_path(), 0755), "make the host path of a mount"));
    } else if (!there.ok()) {
      return Annotate(there.status(), "look at the host path of a mount");
    }
  }
  return absl::OkStatus();
}

}  // namespace berth
