// What is in a network namespace, seen from outside of it.
#ifndef BERTH_PLUGINS_NETWORK_CNI_NETNS_VIEW_H_
#define BERTH_PLUGINS_NETWORK_CNI_NETNS_VIEW_H_

#include <set>
#include <string>

#include "berth/sdk/status.h"

namespace berth::network_cni {

struct NetnsView {
  std::set<std::string> interfaces;  // names
  std::set<std::string> addresses;   // of all interfaces, in the canonical spelling
};

// Of the namespace that the file at `path` names. By netlink with a target namespace (Linux 5.0): no thread enters it.
// Any thread. kFailedPrecondition when `path` is no network namespace; needs CAP_NET_ADMIN.
sdk::Result<NetnsView> LookIntoNetns(const std::string& path);

}  // namespace berth::network_cni

#endif  // BERTH_PLUGINS_NETWORK_CNI_NETNS_VIEW_H_
