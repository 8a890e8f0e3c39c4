#include "core/cri/client/channel_arguments.h"

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

grpc::ChannelArguments CriChannelArguments() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  // Servers refuse the percent-encoded path that gRPC would send.
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  // Two clients of one process are two connections.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // A ping that probes the bandwidth, sent when the server has just answered and closed, fails the calls whose answers
  // have not been read yet: for gRPC the connection is broken. On one machine it tells nothing.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetServiceConfigJSON(kServiceConfig);
  return arguments;
}

}  // namespace berth
