#include "core/cri/relay.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include "core/cri/client/stream_retries.h"

namespace berth {
namespace {

// A successor that does not accept yet holds a connection up; one that failed is tried again soon.
constexpr int kFirstPauseMs = 50, kLongestPauseMs = 500, kConnectMs = 5000;

}  // namespace

std::shared_ptr<grpc::Channel> Relay::channel() {
  std::lock_guard lock(mutex_);
  if (channel_ == nullptr) {
    grpc::ChannelArguments arguments;
    // The limits are the successor's and the client's to set.
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetMaxSendMessageSize(-1);
    arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");  // not the socket's path, percent-encoded
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstPauseMs);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMs);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLongestPauseMs);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    RepeatUnansweredStreams(&arguments);
    channel_ = grpc::CreateCustomChannel("unix:" + socket_, grpc::InsecureChannelCredentials(), arguments);
  }
  return channel_;
}

}  // namespace berth
