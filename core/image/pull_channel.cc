#include "core/image/pull_channel.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "google/protobuf/message_lite.h"

namespace berth {
namespace {

constexpr size_t kHeader = 4;
constexpr size_t kMaxDescriptors = 4;  // of one sendmsg; ours carry one

absl::Status Closed() { return absl::UnavailableError("the other end of the pull worker's socket is closed"); }

uint32_t LengthAt(const char* bytes) {
  const auto* b = reinterpret_cast<const unsigned char*>(bytes);
  return b[0] | b[1] << 8 | b[2] << 16 | static_cast<uint32_t>(b[3]) << 24;
}

absl::Status SendError() {
  if (errno == EPIPE || errno == ECONNRESET) return Closed();
  if (errno == EAGAIN || errno == EWOULDBLOCK)
    return absl::DeadlineExceededError("the pull worker does not read its socket");
  return ErrnoStatus("send on the pull worker's socket");
}

}  // namespace

absl::Status PullChannel::Send(const google::protobuf::MessageLite& message, int descriptor) {
  std::string frame(kHeader, '\0');
  if (!message.AppendToString(&frame) || frame.size() - kHeader > kMaxFrame)
    return absl::InvalidArgumentError("a message for the pull worker is too large");
  const uint32_t length = static_cast<uint32_t>(frame.size() - kHeader);
  for (size_t i = 0; i < kHeader; ++i) frame[i] = static_cast<char>(length >> (8 * i));

  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  const std::lock_guard<std::mutex> lock(send_mutex_);
  for (size_t sent = 0; sent < frame.size();) {
    iovec piece{frame.data() + sent, frame.size() - sent};
    msghdr header{};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    if (sent == 0 && descriptor >= 0) {
      header.msg_control = control;
      header.msg_controllen = sizeof(control);
      cmsghdr* rights = CMSG_FIRSTHDR(&header);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(sizeof(int));
      memcpy(CMSG_DATA(rights), &descriptor, sizeof(int));
    }
    const ssize_t n = sendmsg(socket_, &header, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SendError();
    sent += n;
  }
  return absl::OkStatus();
}

absl::Status PullChannel::ReadAvailable() {
  buffer_.erase(0, parsed_);
  parsed_ = 0;
  char bytes[64 << 10];
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxDescriptors)];
  iovec piece{bytes, sizeof(bytes)};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  const ssize_t n = recvmsg(socket_, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return absl::OkStatus();
  if (n < 0) return errno == ECONNRESET ? Closed() : ErrnoStatus("receive on the pull worker's socket");
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      descriptors_.emplace_back(fd);
    }
  }
  if ((header.msg_flags & MSG_CTRUNC) != 0) return absl::InvalidArgumentError("descriptors were lost on the way");
  if (n == 0) return Closed();
  buffer_.append(bytes, n);
  if (buffer_.size() >= kHeader && LengthAt(buffer_.data()) > kMaxFrame)
    return absl::InvalidArgumentError("a frame on the pull worker's socket is too large");
  return absl::OkStatus();
}

std::optional<std::string> PullChannel::NextFrame() {
  const size_t left = buffer_.size() - parsed_;
  if (left < kHeader) return std::nullopt;
  const uint32_t length = LengthAt(buffer_.data() + parsed_);
  if (left - kHeader < length) return std::nullopt;
  std::string frame = buffer_.substr(parsed_ + kHeader, length);
  parsed_ += kHeader + length;
  return frame;
}

UniqueFd PullChannel::NextDescriptor() {
  if (descriptors_.empty()) return UniqueFd();
  UniqueFd fd = std::move(descriptors_.front());
  descriptors_.pop_front();
  return fd;
}

}  // namespace berth
