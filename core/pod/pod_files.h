// resolv.conf, hosts and hostname: files of a pod that its containers see in /etc.
#ifndef BERTH_CORE_POD_POD_FILES_H_
#define BERTH_CORE_POD_POD_FILES_H_

#include <string>

#include "absl/status/status.h"
#include "core/pod/pod_config.h"
#include "proto/cri/v1/api.pb.h"

namespace berth {

// The text of resolv.conf (resolv.conf(5)) for a DNSConfig.
std::string FormatResolvConf(const runtime::v1::DNSConfig& dns);

// Writes the three files into the pod's directory, which exists. Without a dns_config the host's resolv.conf is copied,
// an absent one as empty. The hosts file is the host's: the kubelet mounts its own over it where it manages one.
absl::Status WritePodFiles(const PodPaths& paths, const runtime::v1::PodSandboxConfig& config);

}  // namespace berth

#endif  // BERTH_CORE_POD_POD_FILES_H_
