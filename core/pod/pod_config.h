// Checks of a PodSandboxConfig and what follows from it. Pure functions.
#ifndef BERTH_CORE_POD_POD_CONFIG_H_
#define BERTH_CORE_POD_POD_CONFIG_H_

#include <string>

#include "absl/status/status.h"
#include "core/supervisor/client.h"
#include "proto/cri/v1/api.pb.h"

namespace berth {

// kInvalidArgument for what no pod may have: missing metadata, oversized fields, paths that escape, contradictions.
absl::Status CheckPodConfig(const runtime::v1::PodSandboxConfig& config);

// The key by which a repeated RunPodSandbox is recognised: name, namespace, uid and attempt.
std::string PodNameKey(const runtime::v1::PodSandboxMetadata& metadata);

bool UsesHostNetwork(const runtime::v1::PodSandboxConfig& config);
// Its containers share a PID namespace, whose init is the pod's.
bool HasInit(const runtime::v1::PodSandboxConfig& config);

// Where a pod keeps things: all below STATE/pods/ID, but for the netns pin, which CNI plugins look for in /run/netns,
// and the user namespace's at STATE/ns/ID/user.
struct PodPaths {
  PodPaths(const std::string& state, const std::string& id);
  std::string directory, shm, resolv_conf, hosts, hostname, netns, user_ns;
};

// What the pod's supervisor is started with.
PodSpec MakePodSpec(const std::string& id, const runtime::v1::PodSandboxConfig& config, const PodPaths& paths,
                    uint64_t shm_bytes);

}  // namespace berth

#endif  // BERTH_CORE_POD_POD_CONFIG_H_
