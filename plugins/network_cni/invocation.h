// One run of one CNI plugin (CNI specification, section 2).
#ifndef BERTH_PLUGINS_NETWORK_CNI_INVOCATION_H_
#define BERTH_PLUGINS_NETWORK_CNI_INVOCATION_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "berth/sdk/host.h"
#include "berth/sdk/status.h"
#include "plugins/json/bounded_json.h"

namespace berth::network_cni {

// Runs a command to its end: Host::Spawn, or a test's own.
using Spawn = std::function<sdk::Result<sdk::CommandResult>(const sdk::Call&, const sdk::Command&)>;

struct Invocation {
  std::string command;                            // "ADD", "DEL", "CHECK", "STATUS", "GC"
  std::string network;                            // name of the list, for errors
  json::Value config;                             // the plugin's, complete: goes to its standard input
  std::string container_id, netns, ifname, args;  // empty: not set
};

class PluginRunner {
 public:
  struct Options {
    std::vector<std::string> bin_dirs;
    int64_t timeout_ns = 60'000'000'000;  // of one plugin
    Spawn spawn;
  };

  explicit PluginRunner(Options options) : options_(std::move(options)) {}

  // What the plugin printed; null when it printed nothing. An error names plugin, command and network, and has what the
  // plugin said: kUnavailable when it asks to try again later (code 11) or is not ready (50, 51), kDeadlineExceeded and
  // kCancelled when it was killed.
  sdk::Result<json::Value> Run(const sdk::Call& call, const Invocation& invocation) const;

  // The program for a plugin type, as Run() would choose it.
  sdk::Result<std::string> Find(const std::string& type) const;

  int64_t timeout_ns() const { return options_.timeout_ns; }

 private:
  const Options options_;
};

int64_t MonotonicNow();

}  // namespace berth::network_cni

#endif  // BERTH_PLUGINS_NETWORK_CNI_INVOCATION_H_
