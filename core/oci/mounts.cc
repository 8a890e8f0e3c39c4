#include "core/oci/mounts.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace berth::oci {
namespace {

using runtime::v1::MountPropagation;

struct Mount {
  std::string destination, type, source;
  std::vector<std::string> options;
};

std::vector<Mount> DefaultMounts(const SpecInput& input) {
  const bool privileged = input.config.linux().security_context().privileged();
  const char* access = privileged ? "rw" : "ro";
  std::vector<Mount> mounts = {
      {"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}},
      {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}},
      {"/dev/pts", "devpts", "devpts", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
      {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}},
      {"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", access}},
      {"/sys/fs/cgroup", "cgroup", "cgroup", {"rprivate", "nosuid", "noexec", "nodev", "relatime", access}},
  };
  // The terminals' group, unless the pod's user namespace has no such id.
  constexpr uint32_t kTtyGroup = 5;
  if (!input.ids || input.ids->gids.count > kTtyGroup) mounts[2].options.push_back(absl::StrCat("gid=", kTtyGroup));
  return mounts;
}

// What the pod lends to all of its containers.
std::vector<Mount> PodMounts(const SpecInput& input) {
  const char* access = input.config.linux().security_context().readonly_rootfs() ? "ro" : "rw";
  const std::pair<const char*, const std::string&> files[] = {{"/etc/hostname", input.hostname_file},
                                                              {"/etc/hosts", input.hosts_file},
                                                              {"/etc/resolv.conf", input.resolv_conf_file}};
  std::vector<Mount> mounts;
  for (const auto& [destination, source] : files) {
    if (source.empty()) continue;
    Mount mount{destination, "bind", source, {"rbind", "rprivate", access}};
    mount.options.insert(mount.options.end(), input.pod_file_options.begin(), input.pod_file_options.end());
    mounts.push_back(std::move(mount));
  }
  if (!input.shm.empty()) mounts.push_back({"/dev/shm", "bind", input.shm, {"rbind", "rprivate", "rw"}});
  return mounts;
}

const char* PropagationOption(MountPropagation propagation) {
  switch (propagation) {
    case MountPropagation::PROPAGATION_HOST_TO_CONTAINER:
      return "rslave";
    case MountPropagation::PROPAGATION_BIDIRECTIONAL:
      return "rshared";
    default:
      return "rprivate";
  }
}

Mount VolumeJson(const VolumeMount& volume) {
  Mount mount{volume.destination, "bind", volume.source, {"rbind", PropagationOption(volume.propagation)}};
  mount.options.push_back(volume.recursive_read_only ? "rro" : volume.read_only ? "ro" : "rw");
  mount.options.insert(mount.options.end(), volume.options.begin(), volume.options.end());
  return mount;
}

bool Below(const std::string& path, const std::string& directory) { return path.rfind(directory + "/", 0) == 0; }

bool ReplacedBy(const Mount& mount, const std::vector<VolumeMount>& volumes) {
  return std::any_of(volumes.begin(), volumes.end(), [&](const VolumeMount& volume) {
    return volume.destination == mount.destination ||
           (volume.destination == "/dev" && Below(mount.destination, "/dev"));
  });
}

}  // namespace

nlohmann::json MountsJson(const SpecInput& input) {
  std::vector<Mount> mounts;
  for (Mount& mount : DefaultMounts(input)) {
    if (!ReplacedBy(mount, input.volumes)) mounts.push_back(std::move(mount));
  }
  std::vector<Mount> binds;
  for (Mount& mount : PodMounts(input)) {
    if (!ReplacedBy(mount, input.volumes)) binds.push_back(std::move(mount));
  }
  for (const VolumeMount& volume : input.volumes) binds.push_back(VolumeJson(volume));
  std::stable_sort(binds.begin(), binds.end(), [](const Mount& a, const Mount& b) {
    return std::count(a.destination.begin(), a.destination.end(), '/') <
           std::count(b.destination.begin(), b.destination.end(), '/');
  });
  mounts.insert(mounts.end(), binds.begin(), binds.end());

  nlohmann::json json = nlohmann::json::array();
  for (const Mount& mount : mounts) {
    json.push_back({{"destination", mount.destination},
                    {"type", mount.type},
                    {"source", mount.source},
                    {"options", mount.options}});
  }
  return json;
}

std::string RootfsPropagation(const SpecInput& input) {
  MountPropagation most = MountPropagation::PROPAGATION_PRIVATE;
  for (const VolumeMount& volume : input.volumes) most = std::max(most, volume.propagation);
  return most == MountPropagation::PROPAGATION_PRIVATE ? "" : PropagationOption(most);
}

}  // namespace berth::oci
