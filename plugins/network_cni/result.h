// The result of ADD (CNI specification, section 5), in the forms of all versions.
#ifndef BERTH_PLUGINS_NETWORK_CNI_RESULT_H_
#define BERTH_PLUGINS_NETWORK_CNI_RESULT_H_

#include <string>
#include <vector>

#include "plugins/json/bounded_json.h"

namespace berth::network_cni {

enum class IpPreference { kAsGiven, kIpv4, kIpv6 };

// The addresses of the pod's interfaces without prefix length, in the order of the result; with a preference, the first
// of that family comes first. What is no address, or belongs to an interface of the host, is left out.
std::vector<std::string> PodIps(const json::Value& result, IpPreference preference);

}  // namespace berth::network_cni

#endif  // BERTH_PLUGINS_NETWORK_CNI_RESULT_H_
