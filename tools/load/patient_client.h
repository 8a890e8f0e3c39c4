// A CRI client that, as the kubelet, makes a call again when the daemon went away before it had answered, and that
// checks what such a repetition may answer.
#ifndef BERTH_TOOLS_LOAD_PATIENT_CLIENT_H_
#define BERTH_TOOLS_LOAD_PATIENT_CLIENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/cri/client/cri_client.h"
#include "tools/load/load_report.h"

namespace berth {

// One thread. Every method blocks until the daemon has answered, at most two minutes.
class PatientClient {
 public:
  // `report` outlives the client. `may_be_interrupted` false: a call that is not answered is the caller's error.
  PatientClient(const std::string& socket, bool may_be_interrupted, LoadReport* report)
      : client_(socket), may_be_interrupted_(may_be_interrupted), report_(report) {}

  // After an interruption the pod or container may exist already: then it is the answer.
  absl::StatusOr<std::string> RunPod(const cri::PodSandboxConfig& config);
  absl::StatusOr<std::string> Create(const std::string& pod, const cri::PodSandboxConfig& pod_config,
                                     const cri::ContainerConfig& config);
  // After an interruption it may have been started already.
  absl::Status Start(const std::string& id);
  absl::Status Stop(const std::string& id, int64_t grace_seconds);
  absl::Status Remove(const std::string& id);
  absl::Status StopPod(const std::string& id);
  absl::Status RemovePod(const std::string& id);
  absl::StatusOr<cri::ContainerStatus> Status(const std::string& id);
  // The host's number of the container's first process.
  absl::StatusOr<int> Pid(const std::string& id);
  absl::StatusOr<cri::PodSandboxStatus> PodStatus(const std::string& id);
  absl::StatusOr<cri::ExecSyncResponse> Exec(const std::string& id, const std::vector<std::string>& command);
  absl::Status Update(const std::string& id, const cri::LinuxContainerResources& resources);
  absl::Status ReopenLog(const std::string& id);
  absl::StatusOr<std::string> Pull(const std::string& image);
  absl::Status RemoveImage(const std::string& image);
  absl::StatusOr<cri::ListPodSandboxResponse> ListPods(const cri::ListPodSandboxRequest& request);
  absl::StatusOr<cri::ListContainersResponse> ListContainers(const cri::ListContainersRequest& request);

  // Waits until it has this state.
  absl::StatusOr<cri::ContainerStatus> WaitFor(const std::string& id, cri::ContainerState state);

 private:
  template <class Request, class Response>
  absl::StatusOr<Response> Ask(absl::StatusOr<Response> (CriClient::*method)(const Request&, absl::Duration),
                               const Request& request, bool* repeated = nullptr);

  CriClient client_;
  const bool may_be_interrupted_;
  LoadReport* const report_;
};

}  // namespace berth

#endif  // BERTH_TOOLS_LOAD_PATIENT_CLIENT_H_
