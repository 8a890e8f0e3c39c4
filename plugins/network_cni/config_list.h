// CNI network configuration (CNI specification, section 1): files of conf_dir into lists of plugins.
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
  std::string version;  // cniVersion; "0.1.0" when the file has none
  bool disable_check = false;
  bool disable_gc = false;
  std::vector<json::Value> plugins;  // objects with a `type` that is a plain file name

  // In the form of a .conflist, which ParseConfigList() reads back.
  json::Value ToJson() const;
};

// `what` names the text in errors. A single network configuration (a .conf) becomes a list of one.
sdk::Result<ConfigList> ParseConfigList(std::string_view text, std::string_view what);
sdk::Result<ConfigList> ConfigListFromJson(const json::Value& value, std::string_view what);

// True when `version` is `major.minor` or later.
bool AtLeast(std::string_view version, int major, int minor);

// What conf_dir holds at the moment.
struct LoadedConfigs {
  std::vector<ConfigList> networks;  // at most `max`, in the order of the files' names
  std::vector<std::string> files;    // of `networks`
  std::vector<std::string> faults;   // "FILE: why" for those that are not valid
};

// Reads *.conf, *.conflist and *.json of `dir` in the order of their names until `max` (0: no limit) are valid. An
// invalid one is passed over and named in `faults`.
LoadedConfigs LoadConfigs(const std::string& dir, int max);

}  // namespace berth::network_cni

#endif  // BERTH_PLUGINS_NETWORK_CNI_CONFIG_LIST_H_
