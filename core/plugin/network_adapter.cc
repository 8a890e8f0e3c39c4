#include "core/plugin/network_adapter.h"

#include <arpa/inet.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "berth/abi/network.h"
#include "core/base/status.h"
#include "core/plugin/instance.h"

namespace berth {
namespace {

constexpr size_t kMaxState = 1 << 20;
constexpr uint64_t kMaxIps = 64;

// A PodNetwork as the ABI has it; borrows from it.
class AbiPod {
 public:
  explicit AbiPod(const PodNetwork& pod)
      : dns_servers_(AbiStrs(pod.dns_servers)),
        dns_searches_(AbiStrs(pod.dns_searches)),
        dns_options_(AbiStrs(pod.dns_options)),
        labels_(AbiPairs(pod.labels)),
        annotations_(AbiPairs(pod.annotations)) {
    for (const PortMapping& m : pod.port_mappings) {
      ports_.push_back(
          {sizeof(berth_port_mapping), m.container_port, m.host_port, AbiStr(m.protocol), AbiStr(m.host_ip)});
    }
    for (const berth_port_mapping& m : ports_) port_pointers_.push_back(&m);
    raw_ = {sizeof(raw_),           pod.netns_fd,          AbiStr(pod.pod_id),     AbiStr(pod.name),
            AbiStr(pod.name_space), AbiStr(pod.uid),       AbiStr(pod.netns_path), AbiStr(pod.cgroup_path),
            port_pointers_.data(),  port_pointers_.size(), dns_servers_.data(),    dns_servers_.size(),
            dns_searches_.data(),   dns_searches_.size(),  dns_options_.data(),    dns_options_.size(),
            labels_.data(),         labels_.size(),        annotations_.data(),    annotations_.size(),
            AbiStr(pod.state)};
  }
  AbiPod(const AbiPod&) = delete;
  AbiPod& operator=(const AbiPod&) = delete;

  const berth_pod_network* get() const { return &raw_; }

 private:
  const std::vector<berth_str> dns_servers_, dns_searches_, dns_options_;
  const std::vector<berth_pair> labels_, annotations_;
  std::vector<berth_port_mapping> ports_;
  std::vector<const berth_port_mapping*> port_pointers_;
  berth_pod_network raw_;
};

bool IsIp(const std::string& text) {
  in6_addr address;
  return inet_pton(AF_INET, text.c_str(), &address) == 1 || inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

struct ResultDelivery : Delivery {
  NetworkResult result;

  static void Put(void* ctx, const berth_network_result* r) noexcept {
    auto* self = static_cast<ResultDelivery*>(ctx);
    self->Take([&] { self->Read(r); });
  }
  void Read(const berth_network_result* r) {
    if (!reader.Struct(r, "the result") || !reader.List(r->ips, r->ip_count, "addresses", kMaxIps)) return;
    result.ips = reader.Texts(r->ips, r->ip_count, "an address", 64);
    result.state = reader.Bytes(r->state, "the state", kMaxState);
    for (const std::string& ip : result.ips) {
      if (!IsIp(ip)) reader.Fail("an address", "is neither IPv4 nor IPv6");
    }
  }
};

struct StatusDelivery : Delivery {
  NetworkStatus status;

  static void Put(void* ctx, const berth_network_status* s) noexcept {
    auto* self = static_cast<StatusDelivery*>(ctx);
    self->Take([&] {
      if (!self->reader.Struct(s, "the status")) return;
      self->status = {s->ready != 0, self->reader.Text(s->reason, "the reason", 256),
                      self->reader.Text(s->message, "the message", 64 << 10)};
    });
  }
};

class Adapter : public NetworkHook {
 public:
  using Instance = PluginInstance<berth_network>;

  explicit Adapter(std::unique_ptr<Instance> instance) : instance_(std::move(instance)) {}

  absl::StatusOr<NetworkResult> Setup(const Call& call, const PodNetwork& pod) override {
    const AbiPod raw(pod);
    const berth_call raw_call = AbiCall(call);
    ResultDelivery delivery;
    const berth_network_result_sink sink{sizeof(sink), 0, &delivery, &ResultDelivery::Put};
    const absl::Status status = instance_->Invoke("setup", instance_->table().setup, &raw_call, raw.get(), &sink);
    const absl::Status checked = delivery.Check(instance_->who(), status);
    // It believes that it succeeded: nobody else would undo it.
    if (status.ok() && !checked.ok()) Teardown(call, pod).IgnoreError();
    RETURN_IF_ERROR(checked);
    return std::move(delivery.result);
  }

  absl::Status Teardown(const Call& call, const PodNetwork& pod) override {
    const AbiPod raw(pod);
    const berth_call raw_call = AbiCall(call);
    return instance_->Invoke("teardown", instance_->table().teardown, &raw_call, raw.get());
  }

  absl::Status Check(const Call& call, const PodNetwork& pod) override {
    const AbiPod raw(pod);
    const berth_call raw_call = AbiCall(call);
    return instance_->Invoke("check", instance_->table().check, &raw_call, raw.get());
  }

  absl::StatusOr<NetworkStatus> Status(const Call& call) override {
    if (instance_->table().status == nullptr) return NetworkStatus{true, "", ""};
    const berth_call raw_call = AbiCall(call);
    StatusDelivery delivery;
    const berth_network_status_sink sink{sizeof(sink), 0, &delivery, &StatusDelivery::Put};
    RETURN_IF_ERROR(
        delivery.Check(instance_->who(), instance_->Invoke("status", instance_->table().status, &raw_call, &sink)));
    return std::move(delivery.status);
  }

  absl::Status Gc(const Call& call, const std::vector<std::string>& valid_pod_ids) override {
    if (instance_->table().gc == nullptr) return absl::OkStatus();
    const berth_call raw_call = AbiCall(call);
    const std::vector<berth_str> ids = AbiStrs(valid_pod_ids);
    return instance_->Invoke("gc", instance_->table().gc, &raw_call, ids.data(), ids.size());
  }

 private:
  const std::unique_ptr<Instance> instance_;
};

std::vector<PluginFunction> Required(const berth_network& t) {
  return {{"setup", t.setup != nullptr}, {"teardown", t.teardown != nullptr}};
}

}  // namespace

absl::StatusOr<std::unique_ptr<NetworkHook>> AdaptNetworkHook(const void* table, std::unique_ptr<PluginHost> host,
                                                              std::shared_ptr<std::mutex> starting) {
  ASSIGN_OR_RETURN(auto instance,
                   PluginInstance<berth_network>::Create(table, std::move(host), std::move(starting), &Required));
  return std::make_unique<Adapter>(std::move(instance));
}

}  // namespace berth
