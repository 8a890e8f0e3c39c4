// The plugin network_cni: README.md says how it is configured.
#include <string>
#include <utility>
#include <vector>

#include "berth/sdk/network_hook.h"
#include "plugins/network_cni/cni_network.h"

namespace berth::network_cni {
namespace {

IpPreference ReadPreference(const sdk::Config& config) {
  const std::string text = config.String("ip_pref", "cni");
  if (text == "cni") return IpPreference::kAsGiven;
  if (text == "ipv4") return IpPreference::kIpv4;
  if (text == "ipv6") return IpPreference::kIpv6;
  config.Fail("ip_pref", "want \"cni\", \"ipv4\" or \"ipv6\", found \"" + text + "\"");
}

CniNetwork::Options ReadOptions(const sdk::Host& host) {
  const sdk::Config config = host.config();
  CniNetwork::Options options;
  options.conf_dir = config.Path("conf_dir", options.conf_dir);
  options.bin_dirs = config.Strings("bin_dirs", options.bin_dirs);
  for (const std::string& dir : options.bin_dirs) {
    if (!dir.starts_with('/') || dir.find_first_of(std::string_view(":\0", 2)) != std::string::npos) {
      config.Fail("bin_dirs", "want absolute paths without ':', found \"" + dir + "\"");
    }
  }
  options.max_conf_num = static_cast<int>(config.Int("max_conf_num", 1, 0, 64));
  options.timeout_ns = config.Int("timeout_seconds", 60, 1, 3600) * 1'000'000'000;
  options.cache_dir = config.Path("cache_dir", host.root().empty() ? options.cache_dir : host.root() + "/cni");
  options.ip_preference = ReadPreference(config);
  options.spawn = [host](const sdk::Call& call, const sdk::Command& command) { return host.Spawn(call, command); };
  options.warn = [host](const std::string& text) { host.LogWarn(text); };
  return options;
}

class Plugin final : public sdk::NetworkHook {
 public:
  explicit Plugin(const sdk::Host& host) : network_(ReadOptions(host)) {}

  sdk::Result<sdk::NetworkResult> Setup(const sdk::Call& call, const sdk::PodNetwork& pod) override {
    return network_.Setup(call, pod);
  }
  sdk::Status Teardown(const sdk::Call& call, const sdk::PodNetwork& pod) override {
    return network_.Teardown(call, pod);
  }
  sdk::Status Check(const sdk::Call& call, const sdk::PodNetwork& pod) override { return network_.CheckPod(call, pod); }
  sdk::Result<sdk::NetworkStatus> Readiness(const sdk::Call& call) override { return network_.Readiness(call); }
  sdk::Status Gc(const sdk::Call& call, const std::vector<std::string>& valid_pod_ids) override {
    return network_.Gc(call, valid_pod_ids);
  }

 private:
  CniNetwork network_;
};

}  // namespace
}  // namespace berth::network_cni

BERTH_NETWORK_HOOK_PLUGIN("network_cni", "0.1.0", berth::network_cni::Plugin);
