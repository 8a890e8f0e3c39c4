// Which versions of the specification a network's plugins speak (the command VERSION).
#ifndef BERTH_PLUGINS_NETWORK_CNI_PLUGIN_VERSIONS_H_
#define BERTH_PLUGINS_NETWORK_CNI_PLUGIN_VERSIONS_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "berth/sdk/call.h"
#include "berth/sdk/status.h"
#include "plugins/network_cni/config_list.h"
#include "plugins/network_cni/invocation.h"

namespace berth::network_cni {

// Asks each program once, and again when its file is another one. Thread-safe.
class PluginVersions {
 public:
  explicit PluginVersions(const PluginRunner* runner) : runner_(runner) {}

  // Sets list->version to the highest that the configuration allows and every plugin speaks. A plugin that does not
  // answer VERSION is taken to speak all. kNotFound names a plugin that is not installed; kFailedPrecondition says
  // which plugin speaks none of the configuration's versions, and which it does speak.
  sdk::Status Choose(const sdk::Call& call, ConfigList* list);

 private:
  struct Identity {
    uint64_t device = 0, inode = 0, size = 0;
    int64_t changed_ns = 0;
    auto operator<=>(const Identity&) const = default;
  };
  using Spoken = std::optional<std::set<std::string>>;  // nothing: it does not say
  struct Answer {
    Identity identity;
    Spoken spoken;
  };

  sdk::Result<Spoken> Ask(const sdk::Call& call, const std::string& type, const std::string& network);

  const PluginRunner* const runner_;
  std::mutex mutex_;
  std::map<std::string, Answer> answers_;  // by the program's path
};

}  // namespace berth::network_cni

#endif  // BERTH_PLUGINS_NETWORK_CNI_PLUGIN_VERSIONS_H_
