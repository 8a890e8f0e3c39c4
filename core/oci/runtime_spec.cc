#include "core/oci/runtime_spec.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/path.h"
#include "core/base/status.h"
#include "core/oci/mounts.h"
#include "core/oci/process.h"
#include "core/oci/resources.h"
#include "core/oci/seccomp.h"

namespace berth::oci {
namespace {

// Nothing used here is newer, and crun before 1.9 refuses 1.1.
constexpr char kOciVersion[] = "1.0.2";

nlohmann::json Namespaces(const SpecInput& input) {
  nlohmann::json namespaces = nlohmann::json::array();
  namespaces.push_back({{"type", "mount"}});
  if (!input.user_ns.empty()) namespaces.push_back({{"type", "user"}, {"path", input.user_ns}});
  const std::pair<const char*, const std::string&> joined[] = {
      {"network", input.network_ns}, {"ipc", input.ipc_ns}, {"uts", input.uts_ns}};
  for (const auto& [type, path] : joined) {
    if (!path.empty()) namespaces.push_back({{"type", type}, {"path", path}});
  }
  if (input.pid_mode == PidMode::kNew) namespaces.push_back({{"type", "pid"}});
  if (input.pid_mode == PidMode::kPath) namespaces.push_back({{"type", "pid"}, {"path", input.pid_ns}});
  // A privileged container manages the node and sees all of its cgroups.
  const bool privileged = input.config.linux().security_context().privileged();
  if (input.host.cgroup.version == 2 && !privileged) namespaces.push_back({{"type", "cgroup"}});
  return namespaces;
}

nlohmann::json MappingJson(const IdRange& range) {
  return nlohmann::json::array({{{"containerID", 0}, {"hostID", range.host}, {"size", range.count}}});
}

absl::StatusOr<nlohmann::json> PathList(const google::protobuf::RepeatedPtrField<std::string>& paths,
                                        const char* field) {
  nlohmann::json list = nlohmann::json::array();
  for (const std::string& path : paths) {
    RETURN_IF_ERROR(CheckAbsolutePath(path, field));
    list.push_back(path);
  }
  return list;
}

void AddDevices(const SpecInput& input, nlohmann::json& linux_part) {
  nlohmann::json rules = nlohmann::json::array();
  const bool privileged = input.config.linux().security_context().privileged();
  rules.push_back({{"allow", privileged}, {"access", "rwm"}});
  nlohmann::json devices = nlohmann::json::array();
  for (const DeviceNode& device : input.host.devices) {
    const std::string type(1, device.type);
    devices.push_back({{"path", device.path},
                       {"type", type},
                       {"major", device.major},
                       {"minor", device.minor},
                       {"fileMode", device.mode},
                       {"uid", device.uid},
                       {"gid", device.gid}});
    if (privileged || device.type == 'p') continue;
    rules.push_back(
        {{"allow", true}, {"type", type}, {"major", device.major}, {"minor", device.minor}, {"access", device.access}});
  }
  if (!devices.empty()) linux_part["devices"] = std::move(devices);
  linux_part["resources"]["devices"] = std::move(rules);
}

absl::StatusOr<nlohmann::json> LinuxJson(const SpecInput& input) {
  const auto& security = input.config.linux().security_context();
  nlohmann::json linux_part = {{"namespaces", Namespaces(input)}, {"cgroupsPath", input.cgroups_path}};
  if (input.ids) {
    linux_part["uidMappings"] = MappingJson(input.ids->uids);
    linux_part["gidMappings"] = MappingJson(input.ids->gids);
  }
  ASSIGN_OR_RETURN(linux_part["resources"], ResourcesJson(input.config.linux().resources(), input.host.cgroup));
  AddDevices(input, linux_part);
  if (!security.privileged()) {
    ASSIGN_OR_RETURN(linux_part["maskedPaths"], PathList(security.masked_paths(), "masked_paths"));
    ASSIGN_OR_RETURN(linux_part["readonlyPaths"], PathList(security.readonly_paths(), "readonly_paths"));
  }
  ASSIGN_OR_RETURN(nlohmann::json seccomp, SeccompJson(input.config, input.host));
  if (!seccomp.is_null()) linux_part["seccomp"] = std::move(seccomp);
  if (!input.labels.file.empty()) linux_part["mountLabel"] = input.labels.file;
  if (const std::string propagation = RootfsPropagation(input); !propagation.empty()) {
    linux_part["rootfsPropagation"] = propagation;
  }
  return linux_part;
}

// The names under which node tools look for what a container belongs to.
nlohmann::json Annotations(const SpecInput& input) {
  const auto& pod = input.pod.metadata();
  nlohmann::json annotations = {{"io.kubernetes.cri.container-type", "container"},
                                {"io.kubernetes.cri.container-name", input.config.metadata().name()},
                                {"io.kubernetes.cri.sandbox-id", input.sandbox_id},
                                {"io.kubernetes.cri.sandbox-name", pod.name()},
                                {"io.kubernetes.cri.sandbox-namespace", pod.namespace_()},
                                {"io.kubernetes.cri.sandbox-uid", pod.uid()}};
  if (!input.image_name.empty()) annotations["io.kubernetes.cri.image-name"] = input.image_name;
  return annotations;
}

absl::Status CheckInput(const SpecInput& input) {
  if (input.config.linux().security_context().privileged() && !input.pod.linux().security_context().privileged()) {
    return absl::InvalidArgumentError("a privileged container needs a privileged pod sandbox");
  }
  if (input.pid_mode == PidMode::kPath && input.pid_ns.empty()) {
    return absl::InternalError("runtime spec: a PID namespace to join without its path");
  }
  if (input.user_ns.empty() != !input.ids.has_value()) {
    return absl::InternalError("runtime spec: a user namespace without its maps, or maps without it");
  }
  return CheckAbsolutePath(input.rootfs, "rootfs");
}

}  // namespace

absl::StatusOr<nlohmann::json> BuildSpec(const SpecInput& input) {
  ASSIGN_OR_RETURN(nlohmann::json spec, BeginSpec(input));
  RETURN_IF_ERROR(FinishSpec(input, &spec));
  return spec;
}

absl::StatusOr<nlohmann::json> BeginSpec(const SpecInput& input) {
  RETURN_IF_ERROR(CheckInput(input));
  nlohmann::json spec = {{"ociVersion", kOciVersion}};
  ASSIGN_OR_RETURN(spec["process"], ProcessJson(input));
  spec["root"] = {{"path", input.rootfs}, {"readonly", input.config.linux().security_context().readonly_rootfs()}};
  ASSIGN_OR_RETURN(spec["linux"], LinuxJson(input));
  spec["annotations"] = Annotations(input);
  return spec;
}

absl::Status FinishSpec(const SpecInput& input, nlohmann::json* spec) {
  if (input.ids) RETURN_IF_ERROR(CheckUserIsMapped(input.user, *input.ids));
  (*spec)["process"]["user"] = UserJson(input.user);
  (*spec)["mounts"] = MountsJson(input);
  return absl::OkStatus();
}

}  // namespace berth::oci
