#include "core/daemon/hand_over_channel.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/status.h"

namespace berth {
namespace {

constexpr size_t kMostBytes = 16 << 10;
// In the order of HandOverWord. Other builds speak them, too.
constexpr std::array<absl::string_view, 6> kWords = {"prepared", "take over", "recovered",
                                                     "accept",   "serving",   "failed"};

absl::string_view Name(HandOverWord word) { return kWords[static_cast<size_t>(word)]; }

}  // namespace

absl::StatusOr<std::pair<UniqueFd, UniqueFd>> HandOverChannel::MakePair() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) return ErrnoStatus("make a pair of sockets");
  return std::pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

absl::Status HandOverChannel::Say(HandOverWord word, absl::string_view text) {
  const std::string message = absl::StrCat(Name(word), "\n", text.substr(0, kMostBytes / 2));
  if (send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(message.size())) {
    return absl::OkStatus();
  }
  if (errno == EPIPE || errno == ECONNRESET) return absl::UnavailableError("the other daemon of a hand-over is gone");
  return ErrnoStatus(absl::StrCat("say \"", Name(word), "\" to the other daemon of a hand-over"));
}

absl::StatusOr<std::string> HandOverChannel::Expect(HandOverWord word, int64_t deadline_ns) {
  for (;;) {
    const int64_t left = deadline_ns - MonotonicNanos();
    if (left <= 0) return absl::DeadlineExceededError(absl::StrCat("\"", Name(word), "\" did not come in time"));
    pollfd readable{socket_.get(), POLLIN, 0};
    if (poll(&readable, 1, static_cast<int>(std::min<int64_t>(left / 1'000'000 + 1, 60'000))) <= 0) continue;
    std::string message(kMostBytes, '\0');
    const ssize_t n = recv(socket_.get(), message.data(), message.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return absl::UnavailableError("the other daemon of a hand-over is gone");
    message.resize(static_cast<size_t>(n));
    const size_t end = message.find('\n');
    const std::string said = message.substr(0, end);
    std::string text = end == message.npos ? "" : message.substr(end + 1);
    if (said == Name(word)) return text;
    if (said == Name(HandOverWord::kFailed)) return absl::AbortedError(text);
    return absl::InternalError(
        absl::StrCat("the other daemon said \"", said.substr(0, 64), "\" instead of \"", Name(word), "\""));
  }
}

}  // namespace berth
