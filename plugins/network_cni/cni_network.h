// Networks of pods by CNI plugins.
#ifndef BERTH_PLUGINS_NETWORK_CNI_CNI_NETWORK_H_
#define BERTH_PLUGINS_NETWORK_CNI_CNI_NETWORK_H_

#include <cstdint>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "berth/sdk/network_hook.h"
#include "plugins/network_cni/attachment_store.h"
#include "plugins/network_cni/config_directory.h"
#include "plugins/network_cni/gc_gate.h"
#include "plugins/network_cni/netns_view.h"
#include "plugins/network_cni/plugin_chain.h"
#include "plugins/network_cni/plugin_versions.h"
#include "plugins/network_cni/result.h"

namespace berth::network_cni {

// The operations of sdk::NetworkHook. Any thread; never two operations on one pod at once.
class CniNetwork final {
 public:
  struct Options {
    std::string conf_dir = "/etc/cni/net.d";
    std::vector<std::string> bin_dirs = {"/opt/cni/bin", "/usr/lib/cni"};
    int max_conf_num = 1;  // networks a pod is connected to: eth0, eth1, ...; 0: all
    int64_t timeout_ns = 60'000'000'000;
    std::string cache_dir = "/var/lib/berth/cni";
    IpPreference ip_preference = IpPreference::kAsGiven;
    Spawn spawn;
    // What the plugins made of a pod's namespace; not set: they are believed.
    std::function<sdk::Result<NetnsView>(const std::string& netns)> look = &LookIntoNetns;
    std::function<void(const std::string&)> warn;
  };

  explicit CniNetwork(Options options);

  sdk::Result<sdk::NetworkResult> Setup(const sdk::Call& call, const sdk::PodNetwork& pod);
  sdk::Status Teardown(const sdk::Call& call, const sdk::PodNetwork& pod);
  sdk::Status CheckPod(const sdk::Call& call, const sdk::PodNetwork& pod);
  sdk::Result<sdk::NetworkStatus> Readiness(const sdk::Call& call);
  sdk::Status Gc(const sdk::Call& call, const std::vector<std::string>& valid_pod_ids);

 private:
  void Warn(const std::string& text) const;
  sdk::Result<std::vector<Attachment>> Plan(const sdk::Call& call, const sdk::PodNetwork& pod);
  sdk::Result<sdk::NetworkResult> Connect(const sdk::Call& call, const std::string& pod_id,
                                          std::vector<Attachment>& attachments);
  sdk::Status Verify(const Attachment& attachment, bool primary) const;
  void Undo(const std::string& pod_id, const std::vector<Attachment>& attachments);
  sdk::Status Disconnect(const sdk::Call& call, const std::vector<Attachment>& attachments) const;
  sdk::Result<std::vector<Attachment>> Known(const sdk::PodNetwork& pod) const;
  std::vector<Attachment> Guess(const std::string& pod_id);
  sdk::Status ReleaseLost(const sdk::Call& call, const std::vector<std::string>& valid_pod_ids);
  std::vector<std::pair<std::string, std::string>> ValidAttachments(const std::set<std::string>& pods,
                                                                    const std::string& network, size_t index) const;
  sdk::Status AskPlugins(const sdk::Call& call, const std::vector<ConfigList>& networks);
  std::string NotInitialized(const LoadedConfigs& loaded) const;

  const Options options_;
  const PluginRunner runner_;
  const AttachmentStore store_;
  ConfigDirectory configs_;
  PluginVersions versions_;
  GcGate gate_;
  std::mutex mutex_;
  std::set<std::string> connected_;  // pods this process has connected or is connecting
  sdk::Status last_answer_;          // of the plugins' STATUS
  int64_t last_asked_ns_ = 0;
};

}  // namespace berth::network_cni

#endif  // BERTH_PLUGINS_NETWORK_CNI_CNI_NETWORK_H_
