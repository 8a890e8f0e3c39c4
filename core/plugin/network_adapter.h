// A plugin's C table as a NetworkHook. What the plugin answers is checked before anyone else sees it.
#ifndef BERTH_CORE_PLUGIN_NETWORK_ADAPTER_H_
#define BERTH_CORE_PLUGIN_NETWORK_ADAPTER_H_

#include <memory>
#include <mutex>

#include "absl/status/statusor.h"
#include "core/plugin/host.h"
#include "core/plugin/network_hook.h"

namespace berth {

// `table`: what the module's query answered for BERTH_NETWORK. `starting` is held while the plugin's object is made and
// destroyed.
absl::StatusOr<std::unique_ptr<NetworkHook>> AdaptNetworkHook(const void* table, std::unique_ptr<PluginHost> host,
                                                              std::shared_ptr<std::mutex> starting);

}  // namespace berth

#endif  // BERTH_CORE_PLUGIN_NETWORK_ADAPTER_H_
