// The operations on an attachment: each plugin of its list in turn (CNI specification, section 3).
#ifndef BERTH_PLUGINS_NETWORK_CNI_PLUGIN_CHAIN_H_
#define BERTH_PLUGINS_NETWORK_CNI_PLUGIN_CHAIN_H_

#include <string>
#include <utility>
#include <vector>

#include "berth/sdk/call.h"
#include "berth/sdk/status.h"
#include "plugins/network_cni/attachment.h"
#include "plugins/network_cni/invocation.h"

namespace berth::network_cni {

// Sets attachment.result. Undoes nothing when it fails: follow it by Del().
sdk::Status Add(const PluginRunner& runner, const sdk::Call& call, Attachment& attachment);

// In reverse. A plugin that fails keeps no other from its DEL; the error is the first one and counts the others.
sdk::Status Del(const PluginRunner& runner, const sdk::Call& call, const Attachment& attachment);

// OK without asking when the list's version has no CHECK or its configuration disables it.
sdk::Status Check(const PluginRunner& runner, const sdk::Call& call, const Attachment& attachment);

// The plugins of a list say whether they can take an ADD. OK without asking before version 1.1.
sdk::Status AskStatus(const PluginRunner& runner, const sdk::Call& call, const ConfigList& list);

// Releases all but `valid`, pairs of container id and interface. OK without asking before version 1.1.
sdk::Status CollectGarbage(const PluginRunner& runner, const sdk::Call& call, const ConfigList& list,
                           const std::vector<std::pair<std::string, std::string>>& valid);

}  // namespace berth::network_cni

#endif  // BERTH_PLUGINS_NETWORK_CNI_PLUGIN_CHAIN_H_
