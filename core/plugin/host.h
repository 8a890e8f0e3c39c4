// What the daemon does for an instance of a plugin, behind the C ABI's berth_host (abi/base.h has the contract).
#ifndef BERTH_CORE_PLUGIN_HOST_H_
#define BERTH_CORE_PLUGIN_HOST_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "berth/abi/base.h"
#include "core/bus/event_bus.h"
#include "core/config/config_value.h"
#include "core/plugin/metrics.h"
#include "core/plugin/oci_executor.h"

namespace berth {

// Outlives every plugin. What is nullptr is not offered: events and metrics are dropped, commands kUnimplemented.
struct HostServices {
  std::string root = "/var/lib/berth";
  std::string state = "/run/berth";
  EventBus* bus = nullptr;
  PluginMetrics* metrics = nullptr;
  SupervisorService* supervisor = nullptr;
};

// Thread-safe. Outlives its instance; its destruction ends the subscriptions that the plugin forgot.
class PluginHost {
 public:
  PluginHost(const HostServices& services, std::string instance, const ConfigValue::Table& config);
  ~PluginHost();
  PluginHost(const PluginHost&) = delete;
  PluginHost& operator=(const PluginHost&) = delete;

  const berth_host* raw() const { return &raw_; }
  const std::string& instance() const { return instance_; }
  // Dotted keys of the configuration that nobody has looked at.
  std::vector<std::string> UnreadKeys() const;

 private:
  struct Functions;  // the C functions of raw_
  class Feed;

  const HostServices services_;
  const std::string instance_;
  const std::unique_ptr<berth_value> config_;
  berth_host raw_;

  std::mutex mutex_;
  uint64_t last_feed_ = 0;
  std::map<uint64_t, std::unique_ptr<Feed>> feeds_;
};

}  // namespace berth

#endif  // BERTH_CORE_PLUGIN_HOST_H_
