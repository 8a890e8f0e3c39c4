#include "core/pod/pod_files.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/failpoint.h"
#include "core/base/file.h"
#include "core/base/status.h"

namespace berth {
namespace {

absl::StatusOr<std::string> HostFile(const std::string& path) {
  auto text = ReadFile(path, 1 << 20);
  if (absl::IsNotFound(text.status())) return std::string();
  return text;
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
  RETURN_IF_ERROR(WriteFileAtomic(paths.resolv_conf, resolv_conf, 0644, Durability::kVolatile));
  RETURN_IF_ERROR(WriteFileAtomic(paths.hosts, hosts, 0644, Durability::kVolatile));
  return WriteFileAtomic(paths.hostname, HostName(config) + "\n", 0644, Durability::kVolatile);
}

}  // namespace berth
