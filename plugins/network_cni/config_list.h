// CNI network configuration (CNI specification, section 1): the text of one file into a list of plugins.
#ifndef BERTH_PLUGINS_NETWORK_CNI_CONFIG_LIST_H_
#define BERTH_PLUGINS_NETWORK_CNI_CONFIG_LIST_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "berth/sdk/status.h"
#include "plugins/json/bounded_json.h"

namespace berth::network_cni {

inline constexpr size_t kMaxConfig = 1 << 20;
inline constexpr size_t kMaxPlugins = 64;

struct ConfigList {
  std::string name;
  std::string version;                // the one that is spoken with the plugins
  std::vector<std::string> versions;  // all that the configuration allows and Berth knows, the highest first
  bool disable_check = false;
  bool disable_gc = false;
  // Version 1.1: plugins are also read from the files of a folder beside this one, named as the network.
  bool wants_folder = false;
  std::vector<json::Value> plugins;  // objects with a `type` that is a plain file name

  // In the form of a .conflist with only the version that is spoken, which ParseConfigList() reads back.
  json::Value ToJson() const;
};

// `what` names the text in errors. A single network configuration (a .conf) becomes a list of one. The version is the
// highest that is allowed. A list that `wants_folder` may have no plugins yet.
sdk::Result<ConfigList> ParseConfigList(std::string_view text, std::string_view what);
sdk::Result<ConfigList> ConfigListFromJson(const json::Value& value, std::string_view what);

// One plugin's configuration: an object with a `type` that is a plain file name. `where` names it in errors.
sdk::Status CheckPlugin(const json::Value& plugin, const std::string& where);

}  // namespace berth::network_cni

#endif  // BERTH_PLUGINS_NETWORK_CNI_CONFIG_LIST_H_
