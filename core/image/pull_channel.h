// Frames of berth.pull.v1 over a stream socket, with descriptors beside them.
#ifndef BERTH_CORE_IMAGE_PULL_CHANNEL_H_
#define BERTH_CORE_IMAGE_PULL_CHANNEL_H_

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/unique_fd.h"

namespace google::protobuf {
class MessageLite;
}

namespace berth {

// One end. Send may be called by any thread; the receiving side is one thread's. Borrows the socket.
class PullChannel {
 public:
  static constexpr uint32_t kMaxFrame = 32 << 20;

  explicit PullChannel(int socket) : socket_(socket) {}

  // Blocks while the socket's buffer is full, at most as long as its SO_SNDTIMEO (kDeadlineExceeded). kUnavailable when
  // the other end is closed.
  absl::Status Send(const google::protobuf::MessageLite& message, int descriptor = -1);

  // Takes what has arrived, without blocking. kUnavailable when the other end is closed and nothing is left,
  // kInvalidArgument for a frame that is too large.
  absl::Status ReadAvailable();
  // The next whole frame of what was taken.
  std::optional<std::string> NextFrame();
  // The next descriptor, in the order they were sent. Invalid when there is none.
  UniqueFd NextDescriptor();

 private:
  const int socket_;
  std::mutex send_mutex_;
  std::string buffer_;
  size_t parsed_ = 0;
  std::deque<UniqueFd> descriptors_;
};

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_PULL_CHANNEL_H_
