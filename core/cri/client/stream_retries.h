// What gRPC's C++ client does for unary calls alone: it repeats one that met the end of its connection and that no
// server has seen. Streams of the CRI all read, so they may be repeated as well, until the first byte of an answer.
#ifndef BERTH_CORE_CRI_CLIENT_STREAM_RETRIES_H_
#define BERTH_CORE_CRI_CLIENT_STREAM_RETRIES_H_

#include <grpcpp/support/channel_arguments.h>

namespace berth {

// For channels to CRI servers. A connection that has reached its age, or whose server has handed over, fails no call.
void RepeatUnansweredStreams(grpc::ChannelArguments* arguments);

}  // namespace berth

#endif  // BERTH_CORE_CRI_CLIENT_STREAM_RETRIES_H_
