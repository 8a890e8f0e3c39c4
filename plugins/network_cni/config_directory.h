// conf_dir: which networks it describes at the moment.
#ifndef BERTH_PLUGINS_NETWORK_CNI_CONFIG_DIRECTORY_H_
#define BERTH_PLUGINS_NETWORK_CNI_CONFIG_DIRECTORY_H_

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "plugins/network_cni/config_list.h"

namespace berth::network_cni {

struct LoadedConfigs {
  std::vector<ConfigList> networks;  // at most `max`, in the order of the files' names
  std::vector<std::string> files;    // of `networks`
  std::vector<std::string> faults;   // "FILE: why" for those that are not valid
};

// Reads *.conf, *.conflist and *.json of `dir` in the order of their names until `max` (0: no limit) are valid. It is
// read at each Load(), so that a change counts at once and nothing can be missed. A file that is not valid is named in
// `faults` and passed over; if it was valid before, it counts as it was then: installers write such files in place, and
// in that moment pods must not be connected to the network of the next file. Thread-safe.
class ConfigDirectory {
 public:
  ConfigDirectory(std::string dir, int max) : dir_(std::move(dir)), max_(max) {}

  LoadedConfigs Load();
  const std::string& path() const { return dir_; }

 private:
  const std::string dir_;
  const int max_;
  std::mutex mutex_;
  std::map<std::string, ConfigList> last_valid_;  // by path; only of files that are still there
};

}  // namespace berth::network_cni

#endif  // BERTH_PLUGINS_NETWORK_CNI_CONFIG_DIRECTORY_H_
