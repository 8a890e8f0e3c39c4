#include "core/pod/pod_files.h"

#include <unistd.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/failpoint.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/oci/user_namespace.h"

namespace berth {
namespace {

absl::StatusOr<std::string> HostFile(const std::string& path) {
  auto text = ReadFile(path, 1 << 20);
  if (absl::IsNotFound(text.status())) return std::string();
  return text;
}

// They belong to the pod's root, as the kubelet's own hosts file does.
absl::Status WriteFor(const std::optional<oci::IdMaps>& ids, const std::string& path, const std::string& text) {
  RETURN_IF_ERROR(WriteFileAtomic(path, text, 0644, Durability::kVolatile));  // failpoint: pod.files.write
  // failpoint: pod.files.write
  if (!ids || chown(path.c_str(), ids->uids.host, ids->gids.host) == 0) return absl::OkStatus();
  return ErrnoStatus("chown " + path);
}

std::string HostName(const runtime::v1::PodSandboxConfig& config) {
  if (!config.hostname().empty() && !UsesHostNetwork(config)) return config.hostname();
  char name[256] = {};
  gethostname(name, sizeof(name) - 1);
  return name;
}

}  // namespace

std::string FormatResolvConf(const runtime::v1::DNSConfig& dns) {
  std::string text;
  if (!dns.searches().empty()) absl::StrAppend(&text, "search ", absl::StrJoin(dns.searches(), " "), "\n");
  for (const std::string& server : dns.servers()) absl::StrAppend(&text, "nameserver ", server, "\n");
  if (!dns.options().empty()) absl::StrAppend(&text, "options ", absl::StrJoin(dns.options(), " "), "\n");
  return text;
}

absl::Status WritePodFiles(const PodPaths& paths, const runtime::v1::PodSandboxConfig& config) {
  RETURN_IF_ERROR(Failpoint("pod.files.write"));
  std::string resolv_conf = FormatResolvConf(config.dns_config());
  if (resolv_conf.empty()) {
    ASSIGN_OR_RETURN(resolv_conf, HostFile("/etc/resolv.conf"));
  }
  ASSIGN_OR_RETURN(const std::string hosts, HostFile("/etc/hosts"));
  ASSIGN_OR_RETURN(const std::optional<oci::IdMaps> ids,
                   oci::IdMapsOf(config.linux().security_context().namespace_options()));
  RETURN_IF_ERROR(WriteFor(ids, paths.resolv_conf, resolv_conf));
  RETURN_IF_ERROR(WriteFor(ids, paths.hosts, hosts));
  return WriteFor(ids, paths.hostname, HostName(config) + "\n");
}

}  // namespace berth
