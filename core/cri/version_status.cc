// Version, Status and RuntimeConfig.
#include <utility>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/cri/config_info.h"
#include "core/cri/message_json.h"
#include "core/cri/runtime_service.h"
#include "core/cri/unary_call.h"

namespace berth {
namespace {

constexpr int64_t kFeaturesPatienceNs = 10'000'000'000;

void AddCondition(const char* type, bool status, const std::string& reason, const std::string& message,
                  cri::RuntimeStatus* out) {
  cri::RuntimeCondition* condition = out->add_conditions();
  condition->set_type(type);
  condition->set_status(status);
  condition->set_reason(reason);
  condition->set_message(MessageForClients(message));
}

// Those of Berth with the handler's executor: what CreateContainer takes with it.
void FillFeatures(const Handler& handler, const ExecutorFeatures& executor, cri::RuntimeHandler* out) {
  out->mutable_features()->set_recursive_read_only_mounts(executor.recursive_read_only);
  out->mutable_features()->set_user_namespaces(handler.user_namespaces());
}

}  // namespace

grpc::ServerUnaryReactor* CriRuntimeService::Version(Context*, const cri::VersionRequest*,
                                                     cri::VersionResponse* response) {
  auto call = UnaryCall::Start(env_.calls);
  call->Answer(absl::OkStatus(), [&] {
    response->set_version("0.1.0");  // of the kubelet's API, not ours
    response->set_runtime_name("berth");
    response->set_runtime_version(env_.version);
    response->set_runtime_api_version("v1");
  });
  return call.get();
}

grpc::ServerUnaryReactor* CriRuntimeService::RuntimeConfig(Context*, const cri::RuntimeConfigRequest*,
                                                           cri::RuntimeConfigResponse* response) {
  auto call = UnaryCall::Start(env_.calls);
  call->Answer(absl::OkStatus(), [&] {
    const bool systemd = env_.config->runtime.cgroup_driver == CgroupDriver::kSystemd;
    response->mutable_linux()->set_cgroup_driver(systemd ? cri::SYSTEMD : cri::CGROUPFS);
  });
  return call.get();
}

ExecutorFeatures CriRuntimeService::FeaturesOf(const Handler& handler) {
  {
    std::lock_guard lock(features_mutex_);
    if (const auto known = features_.find(handler.name); known != features_.end()) return known->second;
  }
  Call call;
  call.deadline_ns = MonotonicNanos() + kFeaturesPatienceNs;
  auto features = handler.executor->Features(call);
  if (!features.ok()) {
    LogWarn("ask an executor for its features", {{"handler", handler.name}, {"error", features.status().message()}});
    return ExecutorFeatures();
  }
  std::lock_guard lock(features_mutex_);
  return features_[handler.name] = *std::move(features);
}

// On the pool: network hooks and executors are plugins.
grpc::ServerUnaryReactor* CriRuntimeService::Status(Context*, const cri::StatusRequest* request,
                                                    cri::StatusResponse* response) {
  auto call = UnaryCall::Start(env_.calls);
  env_.pool->Add([this, call, response, verbose = request->verbose()] {
    cri::StatusResponse answer;
    AddCondition("RuntimeReady", true, "", "", answer.mutable_status());
    NetworkStatus network = env_.networks->Status();
    if (!network.ready && network.reason.empty()) network.reason = "NetworkPluginNotReady";
    AddCondition("NetworkReady", network.ready, network.reason, network.message, answer.mutable_status());
    nlohmann::json executors = nlohmann::json::object();
    if (const Handler* handler = env_.handlers->Find("")) {
      FillFeatures(*handler, FeaturesOf(*handler), answer.add_runtime_handlers());  // "": the default
    }
    for (const auto& [name, handler] : env_.handlers->by_name) {
      cri::RuntimeHandler* entry = answer.add_runtime_handlers();
      entry->set_name(name);
      const ExecutorFeatures features = FeaturesOf(handler);
      FillFeatures(handler, features, entry);
      if (!verbose) continue;
      executors[name] = {
          {"name", features.name}, {"version", features.version}, {"snapshotter", handler.snapshotter_name}};
      if (!features.json.empty()) executors[name]["features"] = ParsedOrText(features.json);
    }
    answer.mutable_features()->set_supplemental_groups_policy(true);
    answer.mutable_features()->set_mount_options(true);
    if (verbose) {
      (*answer.mutable_info())["config"] = DumpForClients(ConfigInfo(*env_.config));
      (*answer.mutable_info())["runtimeHandlers"] = DumpForClients(executors);
    }
    call->Answer(absl::OkStatus(), [&] { response->Swap(&answer); });
  });
  return call.get();
}

}  // namespace berth
