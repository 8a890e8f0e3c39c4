/* Network hook: connects a pod's network namespace to the world. Several may chain. */
#ifndef BERTH_ABI_NETWORK_H_
#define BERTH_ABI_NETWORK_H_

#include "berth/abi/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BERTH_NETWORK "berth.network-hook/0"

typedef struct berth_port_mapping {
  uint32_t struct_size;
  uint16_t container_port, host_port;
  berth_str protocol; /* "tcp", "udp", "sctp" */
  berth_str host_ip;  /* may be empty */
} berth_port_mapping;

typedef struct berth_pod_network {
  uint32_t struct_size;
  int32_t netns_fd; /* -1 when it is gone (after a reboot): teardown must still clean up */
  berth_str pod_id, name, name_space, uid;
  berth_str netns_path; /* /run/netns/berth-ID; empty when it is gone */
  berth_str cgroup_path;
  const berth_port_mapping* const* port_mappings;
  uint64_t port_mapping_count;
  const berth_str* dns_servers;
  uint64_t dns_server_count;
  const berth_str* dns_searches;
  uint64_t dns_search_count;
  const berth_str* dns_options;
  uint64_t dns_option_count;
  const berth_pair* labels;
  uint64_t label_count;
  const berth_pair* annotations;
  uint64_t annotation_count;
  /* bytes: what setup() returned, kept by the host and handed back to teardown() and check(). */
  berth_str state;
} berth_pod_network;

typedef struct berth_network_result {
  uint32_t struct_size, reserved;
  const berth_str* ips; /* without prefix length, the primary one first */
  uint64_t ip_count;
  berth_str state; /* bytes, opaque to the host; at most 1 MiB */
} berth_network_result;

typedef struct berth_network_result_sink {
  uint32_t struct_size, reserved;
  void* ctx;
  void (*put)(void* ctx, const berth_network_result* result);
} berth_network_result_sink;

/* As in the CRI condition NetworkReady. */
typedef struct berth_network_status {
  uint32_t struct_size;
  uint32_t ready; /* 0 or 1 */
  berth_str reason, message;
} berth_network_status;

typedef struct berth_network_status_sink {
  uint32_t struct_size, reserved;
  void* ctx;
  void (*put)(void* ctx, const berth_network_status* status);
} berth_network_status_sink;

typedef struct berth_network {
  uint32_t struct_size, reserved;
  int32_t (*create)(const berth_host* host, void** out, berth_error* err); /* [required] [main] */
  void (*destroy)(void* self);                                             /* [required] [main] */

  /* [required] All or nothing: a failed setup has undone what it did. */
  int32_t (*setup)(void* self, const berth_call* call, const berth_pod_network* pod,
                   const berth_network_result_sink* out, berth_error* err);
  /* [required] Idempotent, also for a pod that setup never finished and for one whose namespace is gone. */
  int32_t (*teardown)(void* self, const berth_call* call, const berth_pod_network* pod, berth_error* err);
  /* 0: the pod is still connected as setup left it. */
  int32_t (*check)(void* self, const berth_call* call, const berth_pod_network* pod, berth_error* err);
  /* Quick: it is asked at each CRI Status. */
  int32_t (*status)(void* self, const berth_call* call, const berth_network_status_sink* out, berth_error* err);
  /* Releases what belongs to no pod of this list. */
  int32_t (*gc)(void* self, const berth_call* call, const berth_str* valid_pod_ids, uint64_t count, berth_error* err);
} berth_network;

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* BERTH_ABI_NETWORK_H_ */
