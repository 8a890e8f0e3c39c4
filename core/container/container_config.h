// Checks of a ContainerConfig and what follows from it. Pure functions.
#ifndef BERTH_CORE_CONTAINER_CONTAINER_CONFIG_H_
#define BERTH_CORE_CONTAINER_CONTAINER_CONFIG_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/cri/v1/api.pb.h"

namespace berth {

// kInvalidArgument for what no container may have: missing metadata or image, oversized fields, NUL bytes, paths that
// escape; kUnimplemented for what Berth does not serve yet and must not ignore.
absl::Status CheckContainerConfig(const runtime::v1::ContainerConfig& config);

// What depends on the pod: the container's user namespace and its volumes' id mappings are the pod's.
absl::Status CheckAgainstPod(const runtime::v1::PodSandboxConfig& pod, const runtime::v1::ContainerConfig& config);

// The key by which a repeated CreateContainer is recognised: pod, name and attempt.
std::string ContainerNameKey(const std::string& pod_id, const runtime::v1::ContainerMetadata& metadata);

// Where the container's log goes: log_directory of the pod / log_path of the container; "" without a log.
absl::StatusOr<std::string> LogPathOf(const runtime::v1::PodSandboxConfig& pod,
                                      const runtime::v1::ContainerConfig& config);

// The number of the signal that asks the container to end: config.stop_signal, else the image's STOPSIGNAL ("SIGTERM",
// "TERM", "15", "RTMIN+3"), else SIGTERM. kInvalidArgument for a name that is no signal.
absl::StatusOr<int> StopSignalOf(const runtime::v1::ContainerConfig& config, absl::string_view image_stop_signal);

// The CRI name of a signal number; SIGNAL_RUNTIME_DEFAULT for one it has none for.
runtime::v1::Signal CriSignal(int number);

}  // namespace berth

#endif  // BERTH_CORE_CONTAINER_CONTAINER_CONFIG_H_
