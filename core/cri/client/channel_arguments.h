// What all channels to CRI servers have in common: a connection that has reached its age, or whose server has handed
// over, fails no call.
#ifndef BERTH_CORE_CRI_CLIENT_CHANNEL_ARGUMENTS_H_
#define BERTH_CORE_CRI_CLIENT_CHANNEL_ARGUMENTS_H_

#include <grpcpp/support/channel_arguments.h>

namespace berth {

// For a channel to a CRI server on a unix socket. How often it connects anew is the caller's to add.
//
// Messages may be of any size: the limits are the server's. A stream that ends with UNAVAILABLE before the first byte
// of an answer is repeated, up to twice: gRPC does so for unary calls that no server has seen, and streams of the CRI
// all read.
grpc::ChannelArguments CriChannelArguments();

}  // namespace berth

#endif  // BERTH_CORE_CRI_CLIENT_CHANNEL_ARGUMENTS_H_
