#include "core/pod/pod_config.h"

#include <arpa/inet.h>

#include <algorithm>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "core/base/path.h"
#include "core/base/status.h"
#include "core/oci/selinux.h"
#include "core/oci/user_namespace.h"

namespace berth {
namespace {

using runtime::v1::NamespaceMode;
using runtime::v1::PodSandboxConfig;

constexpr size_t kMostNameBytes = 1024;
constexpr size_t kMostHostnameBytes = 64;  // of the kernel (__NEW_UTS_LEN)
constexpr size_t kMostConfigBytes = 4 << 20;
constexpr int kMostDnsEntries = 64;

absl::Status CheckName(const std::string& value, absl::string_view what) {
  if (value.size() > kMostNameBytes) {
    return absl::InvalidArgumentError(absl::StrCat(what, " has ", value.size(), " bytes, more than ", kMostNameBytes));
  }
  if (value.find('\0') != value.npos) return absl::InvalidArgumentError(absl::StrCat(what, " contains a NUL byte"));
  return absl::OkStatus();
}

absl::Status CheckDns(const runtime::v1::DNSConfig& dns) {
  const auto check = [](const auto& entries, absl::string_view what) -> absl::Status {
    if (entries.size() > kMostDnsEntries) {
      return absl::InvalidArgumentError(absl::StrCat(what, " has more than ", kMostDnsEntries, " entries"));
    }
    for (const std::string& entry : entries) {
      // A line break in one of them would forge a line of resolv.conf.
      if (entry.empty() || entry.size() > kMostNameBytes ||
          entry.find_first_of(std::string("\n\r\0", 3)) != entry.npos) {
        return absl::InvalidArgumentError(absl::StrCat(what, " has an entry that no resolv.conf can hold"));
      }
    }
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(check(dns.servers(), "dns_config.servers"));
  RETURN_IF_ERROR(check(dns.searches(), "dns_config.searches"));
  return check(dns.options(), "dns_config.options");
}

bool IsIpAddress(const std::string& text) {
  in6_addr address;
  return inet_pton(AF_INET, text.c_str(), &address) == 1 || inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

absl::Status CheckPorts(const PodSandboxConfig& config) {
  for (const runtime::v1::PortMapping& mapping : config.port_mappings()) {
    if (mapping.container_port() < 0 || mapping.container_port() > 65535 || mapping.host_port() < 0 ||
        mapping.host_port() > 65535) {
      return absl::InvalidArgumentError(absl::StrCat("port_mappings: ", mapping.container_port(), " to ",
                                                     mapping.host_port(), " are not both ports"));
    }
    if (mapping.host_port() > 0 && mapping.container_port() == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("port_mappings: host port ", mapping.host_port(), " has no container port"));
    }
    if (!mapping.host_ip().empty() && !IsIpAddress(mapping.host_ip())) {
      return absl::InvalidArgumentError("port_mappings: a host_ip is neither an IPv4 nor an IPv6 address");
    }
    if (!runtime::v1::Protocol_IsValid(mapping.protocol())) {
      return absl::InvalidArgumentError("port_mappings: unknown protocol");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckNamespaces(const runtime::v1::NamespaceOption& options) {
  if (options.network() != NamespaceMode::POD && options.network() != NamespaceMode::NODE) {
    return absl::InvalidArgumentError("namespace_options.network of a pod is POD or NODE");
  }
  if (options.ipc() != NamespaceMode::POD && options.ipc() != NamespaceMode::NODE) {
    return absl::InvalidArgumentError("namespace_options.ipc of a pod is POD or NODE");
  }
  if (options.pid() != NamespaceMode::POD && options.pid() != NamespaceMode::NODE &&
      options.pid() != NamespaceMode::CONTAINER) {
    return absl::InvalidArgumentError("namespace_options.pid of a pod is POD, CONTAINER or NODE");
  }
  ASSIGN_OR_RETURN(const std::optional<oci::IdMaps> ids, oci::IdMapsOf(options));
  if (!ids) return absl::OkStatus();
  // The node's namespaces are owned by its user namespace: the pod's root may not even mount their file systems.
  if (options.pid() == NamespaceMode::NODE || options.ipc() == NamespaceMode::NODE) {
    return absl::InvalidArgumentError("a pod with a user namespace has its own PID and IPC namespaces");
  }
  if (options.network() == NamespaceMode::NODE) {
    return absl::UnimplementedError("a pod with a user namespace in the node's network is not served yet");
  }
  return absl::OkStatus();
}

// There is no process of the pod's own for it to apply to, but what no container could have is refused with the pod.
absl::Status CheckSecurity(const runtime::v1::LinuxSandboxSecurityContext& security) {
  if (security.has_run_as_group() && !security.has_run_as_user()) {
    return absl::InvalidArgumentError("security_context: run_as_group is given without run_as_user");
  }
  if (!runtime::v1::SupplementalGroupsPolicy_IsValid(security.supplemental_groups_policy())) {
    return absl::InvalidArgumentError("security_context: unknown supplemental_groups_policy");
  }
  RETURN_IF_ERROR(oci::CheckSelinuxOptions(security.selinux_options()));
  return CheckNamespaces(security.namespace_options());
}

}  // namespace

absl::Status CheckPodConfig(const PodSandboxConfig& config) {
  if (!config.has_metadata()) return absl::InvalidArgumentError("pod sandbox config has no metadata");
  if (config.metadata().name().empty()) return absl::InvalidArgumentError("metadata.name is empty");
  if (config.ByteSizeLong() > kMostConfigBytes) {
    return absl::InvalidArgumentError(absl::StrCat("pod sandbox config is larger than ", kMostConfigBytes, " bytes"));
  }
  RETURN_IF_ERROR(CheckName(config.metadata().name(), "metadata.name"));
  RETURN_IF_ERROR(CheckName(config.metadata().namespace_(), "metadata.namespace"));
  RETURN_IF_ERROR(CheckName(config.metadata().uid(), "metadata.uid"));
  RETURN_IF_ERROR(CheckName(config.hostname(), "hostname"));
  if (config.hostname().size() > kMostHostnameBytes || config.hostname().find_first_of("\n/ ") != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("hostname is no host name of at most ", kMostHostnameBytes, " bytes"));
  }
  if (!config.log_directory().empty()) RETURN_IF_ERROR(CheckAbsolutePath(config.log_directory(), "log_directory"));
  RETURN_IF_ERROR(CheckDns(config.dns_config()));
  RETURN_IF_ERROR(CheckPorts(config));
  return CheckSecurity(config.linux().security_context());
}

std::string PodNameKey(const runtime::v1::PodSandboxMetadata& metadata) {
  // Lengths keep "a/b" + "c" apart from "a" + "b/c".
  return absl::StrCat(metadata.name().size(), ":", metadata.name(), metadata.namespace_().size(), ":",
                      metadata.namespace_(), metadata.uid(), ":", metadata.attempt());
}

bool UsesHostNetwork(const PodSandboxConfig& config) {
  return config.linux().security_context().namespace_options().network() == NamespaceMode::NODE;
}

bool HasInit(const PodSandboxConfig& config) {
  return config.linux().security_context().namespace_options().pid() == NamespaceMode::POD;
}

PodPaths::PodPaths(const std::string& state, const std::string& id)
    : directory(absl::StrCat(state, "/pods/", id)),
      shm(directory + "/shm"),
      resolv_conf(directory + "/resolv.conf"),
      hosts(directory + "/hosts"),
      hostname(directory + "/hostname"),
      netns("/run/netns/berth-" + id),
      user_ns(absl::StrCat(state, "/ns/", id, "/user")) {}

PodSpec MakePodSpec(const std::string& id, const PodSandboxConfig& config, const PodPaths& paths, uint64_t shm_bytes) {
  const runtime::v1::NamespaceOption& options = config.linux().security_context().namespace_options();
  PodSpec spec;
  spec.id = id;
  spec.directory = paths.directory;
  spec.new_network = !UsesHostNetwork(config);
  spec.new_uts = spec.new_network;  // a pod in the host's network has the host's name
  spec.new_ipc = options.ipc() == NamespaceMode::POD;
  spec.shared_pid = HasInit(config);
  if (spec.new_uts) spec.hostname = config.hostname();
  const auto ids = oci::IdMapsOf(options);
  uint32_t last_group = 2147483647;  // the kernel takes no more
  if (ids.ok() && ids->has_value()) {
    spec.user_ns_path = paths.user_ns;
    spec.uid_map = {{0, (*ids)->uids.host, (*ids)->uids.count}};
    spec.gid_map = {{0, (*ids)->gids.host, (*ids)->gids.count}};
    last_group = std::min(last_group, (*ids)->gids.count - 1);
  }
  if (spec.new_network) {
    spec.netns_pin = paths.netns;
    // As containerd does since 2.0: unprivileged containers may bind low ports and ping inside their own network.
    spec.sysctls = {{"net.ipv4.ip_unprivileged_port_start", "0"},
                    {"net.ipv4.ping_group_range", absl::StrCat("0 ", last_group)}};
  }
  if (spec.new_ipc) {
    spec.shm_path = paths.shm;
    spec.shm_size = shm_bytes;
  }
  for (const auto& [name, value] : config.linux().sysctls()) {
    std::erase_if(spec.sysctls, [&wanted = name](const auto& sysctl) { return sysctl.first == wanted; });
    spec.sysctls.emplace_back(name, value);
  }
  return spec;
}

}  // namespace berth
