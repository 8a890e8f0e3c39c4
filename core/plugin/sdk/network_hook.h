// Write a network hook: derive from NetworkHook, take a Host in the constructor, and end the file with
// BERTH_NETWORK_HOOK_PLUGIN("name", "1.0.0", Type);
//
// Any thread, several pods at once, never two operations on one pod at once. Run commands with Host::Spawn, which can
// enter the pod's namespace; never setns. berth/abi/network.h is the whole contract.
#ifndef BERTH_SDK_NETWORK_HOOK_H_
#define BERTH_SDK_NETWORK_HOOK_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "berth/abi/network.h"
#include "berth/sdk/call.h"
#include "berth/sdk/host.h"
#include "berth/sdk/internal.h"
#include "berth/sdk/module.h"
#include "berth/sdk/status.h"

namespace berth::sdk {

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
  std::string state;  // what Setup returned, handed back to Teardown and Check
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

  // All or nothing: a failed Setup has undone what it did.
  virtual Result<NetworkResult> Setup(const Call& call, const PodNetwork& pod) = 0;
  // Idempotent, also for a pod that Setup never finished and for one whose namespace is gone.
  virtual Status Teardown(const Call& call, const PodNetwork& pod) = 0;
  // OK: the pod is still connected as Setup left it.
  virtual Status Check(const Call&, const PodNetwork&) { return {}; }
  // Quick: it is asked at each CRI Status.
  virtual Result<NetworkStatus> Readiness(const Call& call) = 0;
  // Releases what belongs to no pod of `valid_pod_ids`.
  virtual Status Gc(const Call&, const std::vector<std::string>& /*valid_pod_ids*/) { return {}; }
};

namespace internal {

inline PodNetwork ToPod(const berth_pod_network* r) {
  PodNetwork out;
  out.pod_id = String(r->pod_id);
  out.name = String(r->name);
  out.name_space = String(r->name_space);
  out.uid = String(r->uid);
  out.netns_path = String(r->netns_path);
  out.netns_fd = r->netns_fd;
  out.cgroup_path = String(r->cgroup_path);
  for (uint64_t i = 0; i < r->port_mapping_count; ++i) {
    const berth_port_mapping* m = r->port_mappings[i];
    out.port_mappings.push_back({String(m->protocol), m->container_port, m->host_port, String(m->host_ip)});
  }
  out.dns_servers = Strings(r->dns_servers, r->dns_server_count);
  out.dns_searches = Strings(r->dns_searches, r->dns_search_count);
  out.dns_options = Strings(r->dns_options, r->dns_option_count);
  out.labels = Map(r->labels, r->label_count);
  out.annotations = Map(r->annotations, r->annotation_count);
  out.state = String(r->state);
  return out;
}

// The C functions of one plugin class.
template <class T>
struct NetworkFunctions {
  static T& Self(void* self) { return *static_cast<T*>(self); }

  static int32_t Create(const berth_host* host, void** out, berth_error* err) noexcept {
    return Guard(err, [&] {
      *out = new T(Host(host));
      return Status();
    });
  }
  static void Destroy(void* self) noexcept { delete static_cast<T*>(self); }
  static int32_t Setup(void* self, const berth_call* call, const berth_pod_network* pod,
                       const berth_network_result_sink* out, berth_error* err) noexcept {
    return Guard(err, [&]() -> Status {
      BERTH_ASSIGN_OR_RETURN(const NetworkResult result, Self(self).Setup(ToCall(call), ToPod(pod)));
      const std::vector<berth_str> ips = Strs(result.ips);
      const berth_network_result raw{sizeof(raw), 0, ips.data(), ips.size(), Str(result.state)};
      out->put(out->ctx, &raw);
      return {};
    });
  }
  static int32_t Teardown(void* self, const berth_call* call, const berth_pod_network* pod, berth_error* err) noexcept {
    return Guard(err, [&] { return Self(self).Teardown(ToCall(call), ToPod(pod)); });
  }
  static int32_t Check(void* self, const berth_call* call, const berth_pod_network* pod, berth_error* err) noexcept {
    return Guard(err, [&] { return Self(self).Check(ToCall(call), ToPod(pod)); });
  }
  static int32_t Readiness(void* self, const berth_call* call, const berth_network_status_sink* out,
                           berth_error* err) noexcept {
    return Guard(err, [&]() -> Status {
      BERTH_ASSIGN_OR_RETURN(const NetworkStatus s, Self(self).Readiness(ToCall(call)));
      const berth_network_status raw{sizeof(raw), s.ready ? 1u : 0u, Str(s.reason), Str(s.message)};
      out->put(out->ctx, &raw);
      return {};
    });
  }
  static int32_t Gc(void* self, const berth_call* call, const berth_str* ids, uint64_t count,
                    berth_error* err) noexcept {
    return Guard(err, [&] { return Self(self).Gc(ToCall(call), Strings(ids, count)); });
  }

  static constexpr berth_network kTable = {
      sizeof(berth_network), 0, &Create, &Destroy, &Setup, &Teardown, &Check, &Readiness, &Gc};
};

}  // namespace internal
}  // namespace berth::sdk

#define BERTH_KIND_NETWORK_HOOK(Type) \
  { BERTH_NETWORK, &::berth::sdk::internal::NetworkFunctions<Type>::kTable }
#define BERTH_NETWORK_HOOK_PLUGIN(plugin_name, plugin_version, Type) \
  BERTH_PLUGIN(plugin_name, plugin_version, BERTH_KIND_NETWORK_HOOK(Type))

#endif  // BERTH_SDK_NETWORK_HOOK_H_
