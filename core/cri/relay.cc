#include "core/cri/relay.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include "core/cri/client/channel_arguments.h"

namespace berth {
namespace {

// A successor that does not accept yet holds a connection up; one that failed is tried again soon.
constexpr int kFirstPauseMs = 50, kLongestPauseMs = 500, kConnectMs = 5000;

}  // namespace

std::shared_ptr<grpc::Channel> Relay::channel() {
  std::lock_guard lock(mutex_);
  if (channel_ == nullptr) {
    grpc::ChannelArguments arguments = CriChannelArguments();
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstPauseMs);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMs);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLongestPauseMs);
    channel_ = grpc::CreateCustomChannel("unix:" + socket_, grpc::InsecureChannelCredentials(), arguments);
  }
  return channel_;
}

}  // namespace berth
