// runtime.v1.RuntimeService: thin, check, call, answer. One source file per family of RPCs.
//
// Not served yet, answered with UNIMPLEMENTED: Exec, Attach, PortForward,
// StreamContainerStats, PodSandboxStats, ListPodSandboxStats, StreamPodSandboxStats, UpdateRuntimeConfig,
// CheckpointContainer, CheckpointPod, RestorePod, ListMetricDescriptors, ListPodSandboxMetrics,
// StreamPodSandboxMetrics.
#ifndef BERTH_CORE_CRI_RUNTIME_SERVICE_H_
#define BERTH_CORE_CRI_RUNTIME_SERVICE_H_

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "core/cri/environment.h"
#include "core/cri/guarded_service.h"
#include "core/plugin/oci_executor.h"
#include "proto/cri/v1/api.grpc.pb.h"

namespace berth {

namespace cri = ::runtime::v1;

// Nothing blocks in a reactor: what is in memory is answered at once, the rest from a queue or a pool. A call whose
// client is gone is carried through all the same.
class CriRuntimeService final : public GuardedService<cri::RuntimeService, CriRuntimeService> {
 public:
  explicit CriRuntimeService(const CriEnvironment& environment)
      : GuardedService(RouteOf(environment)), env_(environment) {
    Guard("Version", &CriRuntimeService::Version);
    Guard("Status", &CriRuntimeService::Status);
    Guard("RuntimeConfig", &CriRuntimeService::RuntimeConfig);
    Guard("RunPodSandbox", &CriRuntimeService::RunPodSandbox);
    Guard("StopPodSandbox", &CriRuntimeService::StopPodSandbox);
    Guard("RemovePodSandbox", &CriRuntimeService::RemovePodSandbox);
    Guard("PodSandboxStatus", &CriRuntimeService::PodSandboxStatus);
    Guard("ListPodSandbox", &CriRuntimeService::ListPodSandbox);
    Guard("CreateContainer", &CriRuntimeService::CreateContainer);
    Guard("StartContainer", &CriRuntimeService::StartContainer);
    Guard("StopContainer", &CriRuntimeService::StopContainer);
    Guard("RemoveContainer", &CriRuntimeService::RemoveContainer);
    Guard("ContainerStatus", &CriRuntimeService::ContainerStatus);
    Guard("ListContainers", &CriRuntimeService::ListContainers);
    Guard("ReopenContainerLog", &CriRuntimeService::ReopenContainerLog);
    Guard("UpdateContainerResources", &CriRuntimeService::UpdateContainerResources);
    Guard("UpdatePodSandboxResources", &CriRuntimeService::UpdatePodSandboxResources);
    Guard("ExecSync", &CriRuntimeService::ExecSync);
    Guard("ContainerStats", &CriRuntimeService::ContainerStats);
    Guard("ListContainerStats", &CriRuntimeService::ListContainerStats);
  }

  using Context = grpc::CallbackServerContext;
  using Unary = grpc::ServerUnaryReactor;

  // version_status.cc
  Unary* Version(Context*, const cri::VersionRequest*, cri::VersionResponse*) override;
  Unary* Status(Context*, const cri::StatusRequest*, cri::StatusResponse*) override;
  Unary* RuntimeConfig(Context*, const cri::RuntimeConfigRequest*, cri::RuntimeConfigResponse*) override;

  // pod_rpcs.cc
  Unary* RunPodSandbox(Context*, const cri::RunPodSandboxRequest*, cri::RunPodSandboxResponse*) override;
  Unary* StopPodSandbox(Context*, const cri::StopPodSandboxRequest*, cri::StopPodSandboxResponse*) override;
  Unary* RemovePodSandbox(Context*, const cri::RemovePodSandboxRequest*, cri::RemovePodSandboxResponse*) override;
  Unary* PodSandboxStatus(Context*, const cri::PodSandboxStatusRequest*, cri::PodSandboxStatusResponse*) override;
  Unary* ListPodSandbox(Context*, const cri::ListPodSandboxRequest*, cri::ListPodSandboxResponse*) override;
  grpc::ServerWriteReactor<cri::StreamPodSandboxesResponse>* StreamPodSandboxes(
      Context*, const cri::StreamPodSandboxesRequest*) override;

  // container_rpcs.cc
  Unary* CreateContainer(Context*, const cri::CreateContainerRequest*, cri::CreateContainerResponse*) override;
  Unary* StartContainer(Context*, const cri::StartContainerRequest*, cri::StartContainerResponse*) override;
  Unary* StopContainer(Context*, const cri::StopContainerRequest*, cri::StopContainerResponse*) override;
  Unary* RemoveContainer(Context*, const cri::RemoveContainerRequest*, cri::RemoveContainerResponse*) override;
  Unary* ContainerStatus(Context*, const cri::ContainerStatusRequest*, cri::ContainerStatusResponse*) override;
  Unary* ListContainers(Context*, const cri::ListContainersRequest*, cri::ListContainersResponse*) override;
  grpc::ServerWriteReactor<cri::StreamContainersResponse>* StreamContainers(
      Context*, const cri::StreamContainersRequest*) override;
  Unary* ReopenContainerLog(Context*, const cri::ReopenContainerLogRequest*, cri::ReopenContainerLogResponse*) override;

  // resources_rpcs.cc
  Unary* UpdateContainerResources(Context*, const cri::UpdateContainerResourcesRequest*,
                                  cri::UpdateContainerResourcesResponse*) override;
  Unary* UpdatePodSandboxResources(Context*, const cri::UpdatePodSandboxResourcesRequest*,
                                   cri::UpdatePodSandboxResourcesResponse*) override;

  // exec_rpcs.cc
  Unary* ExecSync(Context*, const cri::ExecSyncRequest*, cri::ExecSyncResponse*) override;

  // stats_rpcs.cc
  Unary* ContainerStats(Context*, const cri::ContainerStatsRequest*, cri::ContainerStatsResponse*) override;
  Unary* ListContainerStats(Context*, const cri::ListContainerStatsRequest*, cri::ListContainerStatsResponse*) override;

  // events_rpc.cc
  grpc::ServerWriteReactor<cri::ContainerEventResponse>* GetContainerEvents(Context*,
                                                                            const cri::GetEventsRequest*) override;

 private:
  std::string PodInfo(const Pod& pod) const;
  std::string ContainerInfo(const Container& container) const;
  // What the handler's executor said it can do; asked once, and again while it fails. Blocks.
  ExecutorFeatures FeaturesOf(const Handler& handler);

  const CriEnvironment env_;
  std::mutex features_mutex_;
  std::map<std::string, ExecutorFeatures> features_;  // by handler
};

}  // namespace berth

#endif  // BERTH_CORE_CRI_RUNTIME_SERVICE_H_
