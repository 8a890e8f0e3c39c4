// Network hook: connects a pod's network namespace to the world. Several may chain; each sees the result so far.
#ifndef BERTH_CORE_PLUGIN_NETWORK_HOOK_H_
#define BERTH_CORE_PLUGIN_NETWORK_HOOK_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/plugin/call.h"

namespace berth {

struct PortMapping {
  std::string protocol;  // "tcp", "udp", "sctp"
  uint16_t container_port = 0, host_port = 0;
  std::string host_ip;
};

struct PodNetwork {
  std::string pod_id, name, name_space, uid;
  std::string netns_path;  // /run/netns/berth-ID; "" when it is gone (after a reboot): teardown must still clean up
  int netns_fd = -1;       // the same as a descriptor, borrowed; -1 when it is gone
  std::string cgroup_path;
  std::vector<PortMapping> port_mappings;
  std::vector<std::string> dns_servers, dns_searches, dns_options;
  std::map<std::string, std::string> labels, annotations;
  // What Setup returned, kept by the host and handed back to Teardown and Check. Its form is the plugin's own.
  std::string state;
};

struct NetworkResult {
  std::vector<std::string> ips;  // without prefix length, the primary one first
  std::string state;             // opaque to the host; at most 1 MiB
};

struct NetworkStatus {
  bool ready = false;
  std::string reason, message;  // as in the CRI condition NetworkReady
};

class NetworkHook {
 public:
  virtual ~NetworkHook() = default;

  // All or nothing: a failed Setup has undone what it did, as far as its own plugins allow.
  virtual absl::StatusOr<NetworkResult> Setup(const Call& call, const PodNetwork& pod) = 0;
  // Idempotent, also for a pod that Setup never finished and for one whose namespace is gone.
  virtual absl::Status Teardown(const Call& call, const PodNetwork& pod) = 0;
  virtual absl::Status Check(const Call& call, const PodNetwork& pod) = 0;
  // Quick: it is asked at each CRI Status.
  virtual absl::StatusOr<NetworkStatus> Status(const Call& call) = 0;
  // Releases what belongs to no pod of `valid_pod_ids`.
  virtual absl::Status Gc(const Call& call, const std::vector<std::string>& valid_pod_ids) = 0;
};

}  // namespace berth

#endif  // BERTH_CORE_PLUGIN_NETWORK_HOOK_H_
