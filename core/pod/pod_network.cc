#include "core/pod/pod_network.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/status.h"

namespace berth {
namespace {

constexpr int64_t kGcPatienceNs = 30'000'000'000;  // pods wait while a hook collects

}  // namespace

PodNetwork DescribeNetwork(const state::v1::Pod& record, const runtime::v1::PodSandboxConfig& config) {
  PodNetwork pod;
  pod.pod_id = record.id();
  pod.name = config.metadata().name();
  pod.name_space = config.metadata().namespace_();
  pod.uid = config.metadata().uid();
  pod.netns_path = record.netns_path();
  pod.cgroup_path = record.cgroup_parent();
  for (const runtime::v1::PortMapping& mapping : config.port_mappings()) {
    if (mapping.host_port() <= 0) continue;  // the container listens, the host does not
    pod.port_mappings.push_back({absl::AsciiStrToLower(runtime::v1::Protocol_Name(mapping.protocol())),
                                 static_cast<uint16_t>(mapping.container_port()),
                                 static_cast<uint16_t>(mapping.host_port()), mapping.host_ip()});
  }
  pod.dns_servers.assign(config.dns_config().servers().begin(), config.dns_config().servers().end());
  pod.dns_searches.assign(config.dns_config().searches().begin(), config.dns_config().searches().end());
  pod.dns_options.assign(config.dns_config().options().begin(), config.dns_config().options().end());
  pod.labels.insert(config.labels().begin(), config.labels().end());
  pod.annotations.insert(config.annotations().begin(), config.annotations().end());
  return pod;
}

bool IsNetworkNamespace(const std::string& path) {
  struct statfs file_system;
  return statfs(path.c_str(), &file_system) == 0 && file_system.f_type == NSFS_MAGIC;
}

Call PodNetworks::Deadline(int64_t at_most_ns) const {
  Call call;
  call.deadline_ns = MonotonicNanos() + std::min(timeout_ns_, at_most_ns);
  return call;
}

absl::Status PodNetworks::Setup(const PodNetwork& pod, std::vector<state::v1::NetworkAttachment>* attachments) const {
  for (const NamedHook& named : hooks_) {
    attachments->emplace_back().set_hook(named.name);
    RETURN_IF_ERROR(Failpoint("pod.network.setup"));
    auto result = named.hook->Setup(Deadline(), pod);
    if (!result.ok()) {
      return Annotate(result.status(), absl::StrCat("set up the pod's network with ", named.name));
    }
    state::v1::NetworkAttachment& made = attachments->back();
    made.set_state(result->state);
    made.mutable_ips()->Assign(result->ips.begin(), result->ips.end());
    RETURN_IF_ERROR(Failpoint("pod.network.connected"));
  }
  return absl::OkStatus();
}

std::vector<state::v1::NetworkAttachment> PodNetworks::Possible() const {
  std::vector<state::v1::NetworkAttachment> attachments;
  for (const NamedHook& named : hooks_) attachments.emplace_back().set_hook(named.name);
  return attachments;
}

absl::Status PodNetworks::Teardown(PodNetwork pod, const std::vector<state::v1::NetworkAttachment>& attachments) const {
  absl::Status first = absl::OkStatus();
  for (auto attached = attachments.rbegin(); attached != attachments.rend(); ++attached) {
    const auto named = std::find_if(hooks_.begin(), hooks_.end(),
                                    [&](const NamedHook& hook) { return hook.name == attached->hook(); });
    absl::Status status;
    if (named == hooks_.end()) {
      status = absl::FailedPreconditionError(absl::StrCat("tear down the pod's network: the hook ", attached->hook(),
                                                          " is not in [network] hooks any more; add it again"));
    } else {
      pod.state = attached->state();
      status = Failpoint("pod.network.teardown");
      if (status.ok()) status = named->hook->Teardown(Deadline(), pod);
      if (status.ok()) status = Failpoint("pod.network.disconnected");
      status = Annotate(status, absl::StrCat("tear down the pod's network with ", attached->hook()));
    }
    first.Update(status);
  }
  return first;
}

absl::Status PodNetworks::Gc(const std::vector<std::string>& valid_pod_ids) const {
  absl::Status first = absl::OkStatus();
  for (const NamedHook& named : hooks_) {
    absl::Status status = Failpoint("pod.network.gc");
    if (status.ok()) status = named.hook->Gc(Deadline(kGcPatienceNs), valid_pod_ids);
    first.Update(Annotate(status, absl::StrCat("collect what ", named.name, " has of pods that are gone")));
  }
  return first;
}

NetworkStatus PodNetworks::Status() const {
  NetworkStatus all{true, "", ""};
  for (const NamedHook& named : hooks_) {
    auto status = named.hook->Status(Deadline());
    if (!status.ok())
      return {false, "NetworkPluginNotReady", absl::StrCat(named.name, ": ", std::string(status.status().message()))};
    if (!status->ready) return *status;
    if (!status->message.empty()) absl::StrAppend(&all.message, all.message.empty() ? "" : "; ", status->message);
  }
  return all;
}

}  // namespace berth
