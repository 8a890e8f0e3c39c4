#include "tools/load/patient_client.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/status.h"

namespace berth {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(2);

}  // namespace

template <class Request, class Response>
absl::StatusOr<Response> PatientClient::Ask(absl::StatusOr<Response> (CriClient::*method)(const Request&,
                                                                                          absl::Duration),
                                            const Request& request, bool* repeated) {
  const absl::Time end = absl::Now() + kPatience;
  for (;;) {
    absl::StatusOr<Response> response = (client_.*method)(request, kPatience);
    if (!absl::IsUnavailable(response.status()) || !may_be_interrupted_ || absl::Now() >= end) {
      ++report_->counts().calls;
      return response;
    }
    ++report_->counts().interrupted;
    if (repeated != nullptr) *repeated = true;
    client_.WaitUntilServing(end - absl::Now()).IgnoreError();
  }
}

absl::StatusOr<std::string> PatientClient::RunPod(const cri::PodSandboxConfig& config) {
  cri::RunPodSandboxRequest request;
  *request.mutable_config() = config;
  bool repeated = false;
  const auto response = Ask(&CriClient::RunPodSandbox, request, &repeated);
  if (response.ok()) return response->pod_sandbox_id();
  if (!repeated || !absl::IsAlreadyExists(response.status())) return response.status();
  ASSIGN_OR_RETURN(const cri::ListPodSandboxResponse all, ListPods(cri::ListPodSandboxRequest()));
  for (const auto& pod : all.items()) {
    if (pod.metadata().SerializeAsString() == config.metadata().SerializeAsString()) return pod.id();
  }
  return absl::InternalError("run pod sandbox: it exists already, and is not listed");
}

absl::StatusOr<std::string> PatientClient::Create(const std::string& pod, const cri::PodSandboxConfig& pod_config,
                                                  const cri::ContainerConfig& config) {
  cri::CreateContainerRequest request;
  request.set_pod_sandbox_id(pod);
  *request.mutable_sandbox_config() = pod_config;
  *request.mutable_config() = config;
  bool repeated = false;
  const auto response = Ask(&CriClient::CreateContainer, request, &repeated);
  if (response.ok()) return response->container_id();
  if (!repeated || !absl::IsAlreadyExists(response.status())) return response.status();
  cri::ListContainersRequest list;
  list.mutable_filter()->set_pod_sandbox_id(pod);
  ASSIGN_OR_RETURN(const cri::ListContainersResponse all, ListContainers(list));
  for (const auto& container : all.containers()) {
    if (container.metadata().name() == config.metadata().name()) return container.id();
  }
  return absl::InternalError("create container: it exists already, and is not listed");
}

absl::Status PatientClient::Start(const std::string& id) {
  cri::StartContainerRequest request;
  request.set_container_id(id);
  bool repeated = false;
  const absl::Status started = Ask(&CriClient::StartContainer, request, &repeated).status();
  if (started.ok() || !repeated || !absl::IsFailedPrecondition(started)) return started;
  ASSIGN_OR_RETURN(const cri::ContainerStatus status, Status(id));
  if (status.state() == cri::CONTAINER_RUNNING || status.state() == cri::CONTAINER_EXITED) return absl::OkStatus();
  return started;
}

absl::Status PatientClient::Stop(const std::string& id, int64_t grace_seconds) {
  cri::StopContainerRequest request;
  request.set_container_id(id);
  request.set_timeout(grace_seconds);
  return Ask(&CriClient::StopContainer, request).status();
}

absl::Status PatientClient::Remove(const std::string& id) {
  cri::RemoveContainerRequest request;
  request.set_container_id(id);
  return Ask(&CriClient::RemoveContainer, request).status();
}

absl::Status PatientClient::StopPod(const std::string& id) {
  cri::StopPodSandboxRequest request;
  request.set_pod_sandbox_id(id);
  return Ask(&CriClient::StopPodSandbox, request).status();
}

absl::Status PatientClient::RemovePod(const std::string& id) {
  cri::RemovePodSandboxRequest request;
  request.set_pod_sandbox_id(id);
  return Ask(&CriClient::RemovePodSandbox, request).status();
}

absl::StatusOr<cri::ContainerStatus> PatientClient::Status(const std::string& id) {
  cri::ContainerStatusRequest request;
  request.set_container_id(id);
  ASSIGN_OR_RETURN(const cri::ContainerStatusResponse response, Ask(&CriClient::ContainerStatus, request));
  return response.status();
}

absl::StatusOr<int> PatientClient::Pid(const std::string& id) {
  cri::ContainerStatusRequest request;
  request.set_container_id(id);
  request.set_verbose(true);
  ASSIGN_OR_RETURN(const cri::ContainerStatusResponse response, Ask(&CriClient::ContainerStatus, request));
  const auto info = response.info().find("info");
  if (info == response.info().end()) return absl::InternalError("the verbose status has no info");
  const auto json = nlohmann::json::parse(info->second, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("pid")) return absl::InternalError("info has no pid: " + info->second);
  return json["pid"].get<int>();
}

absl::StatusOr<cri::PodSandboxStatus> PatientClient::PodStatus(const std::string& id) {
  cri::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(id);
  ASSIGN_OR_RETURN(const cri::PodSandboxStatusResponse response, Ask(&CriClient::PodSandboxStatus, request));
  return response.status();
}

absl::StatusOr<cri::ExecSyncResponse> PatientClient::Exec(const std::string& id,
                                                          const std::vector<std::string>& command) {
  cri::ExecSyncRequest request;
  request.set_container_id(id);
  for (const std::string& word : command) request.add_cmd(word);
  request.set_timeout(60);
  return Ask(&CriClient::ExecSync, request);
}

absl::Status PatientClient::Update(const std::string& id, const cri::LinuxContainerResources& resources) {
  cri::UpdateContainerResourcesRequest request;
  request.set_container_id(id);
  *request.mutable_linux() = resources;
  return Ask(&CriClient::UpdateContainerResources, request).status();
}

absl::Status PatientClient::ReopenLog(const std::string& id) {
  cri::ReopenContainerLogRequest request;
  request.set_container_id(id);
  return Ask(&CriClient::ReopenContainerLog, request).status();
}

absl::StatusOr<std::string> PatientClient::Pull(const std::string& image) {
  cri::PullImageRequest request;
  request.mutable_image()->set_image(image);
  ASSIGN_OR_RETURN(const cri::PullImageResponse response, Ask(&CriClient::PullImage, request));
  return response.image_ref();
}

absl::Status PatientClient::RemoveImage(const std::string& image) {
  cri::RemoveImageRequest request;
  request.mutable_image()->set_image(image);
  return Ask(&CriClient::RemoveImage, request).status();
}

absl::StatusOr<cri::ListPodSandboxResponse> PatientClient::ListPods(const cri::ListPodSandboxRequest& request) {
  return Ask(&CriClient::ListPodSandbox, request);
}

absl::StatusOr<cri::ListContainersResponse> PatientClient::ListContainers(const cri::ListContainersRequest& request) {
  return Ask(&CriClient::ListContainers, request);
}

absl::StatusOr<cri::ContainerStatus> PatientClient::WaitFor(const std::string& id, cri::ContainerState state) {
  const absl::Time end = absl::Now() + kPatience;
  for (;;) {
    auto status = Status(id);
    if (!status.ok() || status->state() == state) return status;
    if (absl::Now() >= end) return absl::DeadlineExceededError("it stays " + status->ShortDebugString());
    absl::SleepFor(absl::Milliseconds(20));
  }
}

}  // namespace berth
