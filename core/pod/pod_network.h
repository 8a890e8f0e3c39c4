// The chain of network hooks of a pod: all of them or none.
#ifndef BERTH_CORE_POD_POD_NETWORK_H_
#define BERTH_CORE_POD_POD_NETWORK_H_

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/plugin/network_hook.h"
#include "proto/berth/state/v1/state.pb.h"
#include "proto/cri/v1/api.pb.h"

namespace berth {

struct NamedHook {
  std::string name;
  NetworkHook* hook;
};

// What hooks are told of a pod. The descriptor is left at -1.
PodNetwork DescribeNetwork(const state::v1::Pod& record, const runtime::v1::PodSandboxConfig& config);

// False for what is not there, and for a pin that nothing is mounted on: hooks can't work with one.
bool IsNetworkNamespace(const std::string& path);

// Thread-safe: the hooks are.
class PodNetworks {
 public:
  PodNetworks(std::vector<NamedHook> hooks, int64_t timeout_seconds)
      : hooks_(std::move(hooks)), timeout_ns_(timeout_seconds * 1'000'000'000) {}

  // Runs Setup of each hook in order. `attachments` gets one for each that was begun: on an error the caller tears them
  // down, the failed one too, because its Teardown is idempotent and leaks are not.
  absl::Status Setup(const PodNetwork& pod, std::vector<state::v1::NetworkAttachment>* attachments) const;

  // For a pod of which nobody knows how far its Setup came: every hook, without state.
  std::vector<state::v1::NetworkAttachment> Possible() const;

  // Runs Teardown of each hook in the reverse order, whatever the others answer; the first error is the answer. A hook
  // that is not configured any more, but attached, is an error that says so.
  absl::Status Teardown(PodNetwork pod, const std::vector<state::v1::NetworkAttachment>& attachments) const;

  // Tells every hook which pods have a network; the first error is the answer.
  absl::Status Gc(const std::vector<std::string>& valid_pod_ids) const;

  // Ready when every hook is, with what they have to say all the same; else the first that is not.
  NetworkStatus Status() const;

 private:
  Call Deadline(int64_t at_most_ns = std::numeric_limits<int64_t>::max()) const;

  const std::vector<NamedHook> hooks_;
  const int64_t timeout_ns_;
};

}  // namespace berth

#endif  // BERTH_CORE_POD_POD_NETWORK_H_
