#include "core/cri/client/stream_retries.h"

namespace berth {
namespace {

// gRPC's service config. A method that is not named here keeps gRPC's own way.
constexpr char kServiceConfig[] = R"({"methodConfig": [{
  "name": [
    {"service": "runtime.v1.RuntimeService", "method": "GetContainerEvents"},
    {"service": "runtime.v1.RuntimeService", "method": "StreamPodSandboxes"},
    {"service": "runtime.v1.RuntimeService", "method": "StreamContainers"},
    {"service": "runtime.v1.RuntimeService", "method": "StreamContainerStats"},
    {"service": "runtime.v1.RuntimeService", "method": "StreamPodSandboxStats"},
    {"service": "runtime.v1.RuntimeService", "method": "StreamPodSandboxMetrics"},
    {"service": "runtime.v1.ImageService", "method": "StreamImages"}
  ],
  "retryPolicy": {
    "maxAttempts": 3,
    "initialBackoff": "0.01s",
    "maxBackoff": "0.1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"]
  }
}]})";

}  // namespace

void RepeatUnansweredStreams(grpc::ChannelArguments* arguments) { arguments->SetServiceConfigJSON(kServiceConfig); }

}  // namespace berth
