// What the runtime tells CNI plugins about a pod: CNI_ARGS and the capability arguments (CNI's CONVENTIONS.md).
#ifndef BERTH_PLUGINS_NETWORK_CNI_RUNTIME_ARGS_H_
#define BERTH_PLUGINS_NETWORK_CNI_RUNTIME_ARGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "berth/sdk/network_hook.h"
#include "berth/sdk/status.h"
#include "plugins/json/bounded_json.h"

namespace berth::network_cni {

// "IgnoreUnknown=1;K8S_POD_NAMESPACE=...;...". kInvalidArgument for a value with ';', '=' or a control character, which
// would pass for other arguments.
sdk::Result<std::string> CniArgs(const sdk::PodNetwork& pod);

// Everything the runtime can tell, by capability: portMappings, bandwidth, dns, ips, mac, cgroupPath and
// io.kubernetes.cri.pod-annotations. What there is nothing to say about is absent. kInvalidArgument for an annotation
// that does not say what its capability needs.
sdk::Result<json::Value> Capabilities(const sdk::PodNetwork& pod);

// Those of `capabilities` that the plugin declares: its runtimeConfig. Null when there are none.
json::Value RuntimeConfig(const json::Value& plugin, const json::Value& capabilities);

// A Kubernetes resource quantity ("10M", "1.5Gi", "2e6") as a whole number, rounded up. Nothing when it is not one, is
// negative, or does not fit.
std::optional<uint64_t> ParseQuantity(std::string_view text);

}  // namespace berth::network_cni

#endif  // BERTH_PLUGINS_NETWORK_CNI_RUNTIME_ARGS_H_
