#include "plugins/network_cni/cni_network.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "plugins/network_cni/runtime_args.h"
#include "plugins/network_cni/version.h"

namespace berth::network_cni {
namespace {

using json::Value;
using sdk::Call;
using sdk::Code;
using sdk::NetworkResult;
using sdk::NetworkStatus;
using sdk::PodNetwork;
using sdk::Result;
using sdk::Status;

constexpr size_t kMaxState = 1 << 20;  // what the host keeps
constexpr int64_t kStatusTimeout = 5'000'000'000;
constexpr int64_t kStatusAge = 5'000'000'000;  // an answer to STATUS is good for so long

std::string InterfaceName(size_t network) { return "eth" + std::to_string(network); }

// Only what some plugin of the list wants: annotations are large, and the rest is nobody's business.
Value Declared(const ConfigList& list, const Value& capabilities) {
  Value out = Value::object();
  for (const Value& plugin : list.plugins) {
    const Value wanted = RuntimeConfig(plugin, capabilities);
    if (!wanted.is_null()) out.update(wanted);
  }
  return out;
}

std::string UsableNetns(const PodNetwork& pod) {
  if (!pod.netns_path.empty() && access(pod.netns_path.c_str(), F_OK) != 0 && errno == ENOENT) return "";
  return pod.netns_path;
}

}  // namespace

CniNetwork::CniNetwork(Options options)
    : options_(std::move(options)),
      runner_({options_.bin_dirs, options_.timeout_ns, options_.spawn}),
      store_(options_.cache_dir),
      configs_(options_.conf_dir, options_.max_conf_num),
      versions_(&runner_) {}

void CniNetwork::Warn(const std::string& text) const {
  if (options_.warn) options_.warn(text);
}

std::string CniNetwork::NotInitialized(const LoadedConfigs& loaded) const {
  std::string text = "cni config uninitialized: no valid network configuration in " + options_.conf_dir +
                     "; a network add-on or the operator has to put a .conflist there";
  for (const std::string& fault : loaded.faults) text += "; " + fault;
  text.resize(std::min<size_t>(text.size(), 4096));
  return text;
}

// The attachments that Setup will make.
Result<std::vector<Attachment>> CniNetwork::Plan(const Call& call, const PodNetwork& pod) {
  if (!IsContainerId(pod.pod_id)) return sdk::InvalidArgument("connect a pod to the network: its id is not valid");
  if (pod.netns_path.empty()) return sdk::InvalidArgument("connect pod " + pod.pod_id + ": no network namespace");
  LoadedConfigs loaded = configs_.Load();
  if (loaded.networks.empty()) return sdk::Unavailable(NotInitialized(loaded));
  BERTH_ASSIGN_OR_RETURN(const std::string args, CniArgs(pod));
  BERTH_ASSIGN_OR_RETURN(Value capabilities, Capabilities(pod));
  std::vector<Attachment> out;
  for (ConfigList& list : loaded.networks) {
    const Status chosen = versions_.Choose(call, &list);
    if (chosen.code() == Code::kNotFound) return sdk::Unavailable(chosen.message());
    BERTH_RETURN_IF_ERROR(chosen);
    Value declared = Declared(list, capabilities);
    out.push_back(
        {pod.pod_id, InterfaceName(out.size()), args, std::move(declared), std::move(list), Value(), pod.netns_path});
    // No two interfaces have one address.
    capabilities.erase("ips");
    capabilities.erase("mac");
  }
  return out;
}

Result<NetworkResult> CniNetwork::Setup(const Call& call, const PodNetwork& pod) {
  BERTH_ASSIGN_OR_RETURN(const GcGate::Pass pass, gate_.Operation(call));
  BERTH_ASSIGN_OR_RETURN(std::vector<Attachment> attachments, Plan(call, pod));
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    connected_.insert(pod.pod_id);
  }
  Result<NetworkResult> result = Connect(call, pod.pod_id, attachments);
  if (!result.ok()) {
    Undo(pod.pod_id, attachments);
    const std::lock_guard<std::mutex> lock(mutex_);
    connected_.erase(pod.pod_id);
  }
  return result;
}

Result<NetworkResult> CniNetwork::Connect(const Call& call, const std::string& pod_id,
                                          std::vector<Attachment>& attachments) {
  BERTH_RETURN_IF_ERROR(store_.Save(pod_id, attachments));  // the intent
  for (Attachment& attachment : attachments) {
    BERTH_RETURN_IF_ERROR(Add(runner_, call, attachment));
    BERTH_RETURN_IF_ERROR(Verify(attachment, &attachment == attachments.data()));
  }
  NetworkResult result;
  for (const Attachment& attachment : attachments) {
    for (std::string& ip : PodIps(attachment.result, options_.ip_preference)) result.ips.push_back(std::move(ip));
  }
  if (result.ips.empty()) {
    return sdk::Internal("network " + attachments[0].list.name + " gave pod " + pod_id + " no address");
  }
  result.state = EncodeAttachments(attachments);
  if (result.state.size() > kMaxState) {
    return sdk::ResourceExhausted("configuration and results of pod " + pod_id + "'s networks are larger than 1 MiB");
  }
  BERTH_RETURN_IF_ERROR(store_.Save(pod_id, attachments));
  return result;
}

// A plugin may answer that all is well and have done nothing. Without its first interface a pod is not connected; the
// rest is reported only, since there are networks whose addresses the kernel does not know (a VM's, a user-space
// stack's).
Status CniNetwork::Verify(const Attachment& attachment, bool primary) const {
  if (!options_.look) return {};
  const Result<NetnsView> view = options_.look(attachment.netns);
  if (!view.ok()) {
    Warn("check what CNI plugins did: " + view.status().message());
    return {};
  }
  const std::string whose = " of pod " + attachment.container_id;
  if (!view->interfaces.contains(attachment.ifname)) {
    const std::string text = "ADD for network " + attachment.list.name + " ended well, but there is no interface " +
                             attachment.ifname + " in the network namespace" + whose;
    if (primary) return sdk::Internal(text);
    Warn(text);
    return {};
  }
  for (const std::string& ip : PodIps(attachment.result, options_.ip_preference)) {
    if (view->addresses.contains(ip)) continue;
    Warn("ADD for network " + attachment.list.name + " answered with address " + ip +
         ", which no interface in the network namespace" + whose + " has");
  }
  return {};
}

// After a failed Setup, perhaps because its caller gave up: with a deadline of its own. What fails is left to the next
// Teardown or Gc, which find it in the store.
void CniNetwork::Undo(const std::string& pod_id, const std::vector<Attachment>& attachments) {
  Status status = Disconnect(Call(), attachments);
  if (status.ok()) status = store_.Remove(pod_id);
  if (!status.ok()) Warn("undo the failed connection of pod " + pod_id + ": " + status.message());
}

Status CniNetwork::Disconnect(const Call& call, const std::vector<Attachment>& attachments) const {
  Status first;
  for (auto attachment = attachments.rbegin(); attachment != attachments.rend(); ++attachment) {
    const Status status = Del(runner_, call, *attachment);
    if (first.ok()) first = status;
  }
  return first;
}

// What Setup did, from its answer or else from the store.
Result<std::vector<Attachment>> CniNetwork::Known(const PodNetwork& pod) const {
  if (!pod.state.empty()) {
    Result<std::vector<Attachment>> out = DecodeAttachments(pod.state, "state of pod " + pod.pod_id);
    if (out.ok()) return out;
    Warn(out.status().message());
  }
  return store_.Load(pod.pod_id);
}

// For a pod of which only a damaged file is left, after a power cut: the networks of today.
std::vector<Attachment> CniNetwork::Guess(const std::string& pod_id) {
  std::vector<Attachment> out;
  for (ConfigList& list : configs_.Load().networks) {
    static_cast<void>(versions_.Choose(Call(), &list));  // if none is spoken by all, DEL says so
    out.push_back({pod_id, InterfaceName(out.size()), "IgnoreUnknown=1;K8S_POD_INFRA_CONTAINER_ID=" + pod_id,
                   Value::object(), std::move(list), Value(), ""});
  }
  return out;
}

Status CniNetwork::Teardown(const Call& call, const PodNetwork& pod) {
  if (!IsContainerId(pod.pod_id)) return sdk::InvalidArgument("disconnect a pod: its id is not valid");
  BERTH_ASSIGN_OR_RETURN(const GcGate::Pass pass, gate_.Operation(call));
  Result<std::vector<Attachment>> known = Known(pod);
  // Nothing was begun, or all is undone.
  if (!known.ok() && known.status().code() == Code::kNotFound) return store_.Remove(pod.pod_id);
  std::vector<Attachment> attachments = known.ok() ? *std::move(known) : Guess(pod.pod_id);
  for (Attachment& attachment : attachments) {
    attachment.container_id = pod.pod_id;
    attachment.netns = UsableNetns(pod);
  }
  BERTH_RETURN_IF_ERROR(Disconnect(call, attachments));
  BERTH_RETURN_IF_ERROR(store_.Remove(pod.pod_id));
  const std::lock_guard<std::mutex> lock(mutex_);
  connected_.erase(pod.pod_id);
  return {};
}

Status CniNetwork::CheckPod(const Call& call, const PodNetwork& pod) {
  BERTH_ASSIGN_OR_RETURN(std::vector<Attachment> attachments, Known(pod));
  for (Attachment& attachment : attachments) {
    attachment.netns = pod.netns_path;
    BERTH_RETURN_IF_ERROR(Check(runner_, call, attachment));
  }
  return {};
}

// The kubelet asks every few seconds; processes are not that cheap.
Status CniNetwork::AskPlugins(const Call& call, const std::vector<ConfigList>& networks) {
  const auto has_status = [](const ConfigList& list) { return AtLeast(list.version, 1, 1); };
  if (std::none_of(networks.begin(), networks.end(), has_status)) return {};
  const int64_t now = MonotonicNow();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (last_asked_ns_ != 0 && now - last_asked_ns_ < kStatusAge) return last_answer_;
  }
  Call bounded = call;
  bounded.deadline_ns = std::min(call.deadline_ns, now + kStatusTimeout);
  Status answer;
  for (const ConfigList& list : networks) {
    if (answer.ok()) answer = AskStatus(runner_, bounded, list);
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  last_asked_ns_ = now;
  last_answer_ = answer;
  return answer;
}

Result<NetworkStatus> CniNetwork::Readiness(const Call& call) {
  LoadedConfigs loaded = configs_.Load();
  const auto not_ready = [](std::string why) { return NetworkStatus{false, "NetworkPluginNotReady", std::move(why)}; };
  if (loaded.networks.empty()) return not_ready(NotInitialized(loaded));
  for (size_t i = 0; i < loaded.networks.size(); ++i) {
    const Status chosen = versions_.Choose(call, &loaded.networks[i]);
    if (!chosen.ok()) return not_ready(loaded.files[i] + ": " + chosen.message());
  }
  const Status answer = AskPlugins(call, loaded.networks);
  if (!answer.ok()) return not_ready(answer.message());
  NetworkStatus status{true, "", ""};
  for (const std::string& fault : loaded.faults) {
    status.message += (status.message.empty() ? "not valid: " : "; ") + fault;
  }
  return status;
}

// Attachments that an earlier daemon made and nobody knows any more.
Status CniNetwork::ReleaseLost(const Call& call, const std::vector<std::string>& valid_pod_ids) {
  std::set<std::string> valid(valid_pod_ids.begin(), valid_pod_ids.end());
  {
    // A pod that was connected after the host had made its list is not lost.
    const std::lock_guard<std::mutex> lock(mutex_);
    valid.insert(connected_.begin(), connected_.end());
  }
  BERTH_ASSIGN_OR_RETURN(const std::vector<std::string> kept, store_.PodIds());
  Status first;
  for (const std::string& pod_id : kept) {
    if (valid.contains(pod_id)) continue;
    PodNetwork leftover;
    leftover.pod_id = pod_id;
    const Status status = Teardown(call, leftover);
    if (first.ok()) first = sdk::Annotate(status, "release what pod " + pod_id + " left");
  }
  return first;
}

// Container id and interface of every one of `pods` that is attached to `network`, which is the `index`th of the
// configuration. A pod of which nothing is kept counts as attached: too much is valid rather than too little.
std::vector<std::pair<std::string, std::string>> CniNetwork::ValidAttachments(const std::set<std::string>& pods,
                                                                              const std::string& network,
                                                                              size_t index) const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const std::string& id : pods) {
    const Result<std::vector<Attachment>> kept = store_.Load(id);
    if (!kept.ok()) {
      out.emplace_back(id, InterfaceName(index));
      continue;
    }
    for (const Attachment& attachment : *kept) {
      if (attachment.list.name == network) out.emplace_back(id, attachment.ifname);
    }
  }
  return out;
}

Status CniNetwork::Gc(const Call& call, const std::vector<std::string>& valid_pod_ids) {
  Status first = ReleaseLost(call, valid_pod_ids);
  LoadedConfigs loaded = configs_.Load();
  for (size_t i = 0; i < loaded.networks.size(); ++i) {
    ConfigList& list = loaded.networks[i];
    Status status = versions_.Choose(call, &list);
    if (status.ok() && !list.disable_gc && AtLeast(list.version, 1, 1)) {
      BERTH_ASSIGN_OR_RETURN(const GcGate::Pass pass, gate_.Collection(call));
      std::set<std::string> valid(valid_pod_ids.begin(), valid_pod_ids.end());
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        valid.insert(connected_.begin(), connected_.end());
      }
      status = CollectGarbage(runner_, call, list, ValidAttachments(valid, list.name, i));
    }
    if (first.ok()) first = status;
  }
  return first;
}

}  // namespace berth::network_cni
