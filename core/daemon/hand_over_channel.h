// What a daemon and the successor it has started say to each other, over a socket that the successor inherits.
//
//   successor: prepared      its configuration and its plugins are good; it has touched nothing
//   old:       take over     the store's lock is free, and nothing is begun here any more
//   successor: recovered     it has read the state, and would serve
//   old:       accept        the connections that wait are yours
//   successor: serving
// Instead of any of its words the successor may say `failed` and why. Whoever is left alone before `accept` ends: the
// successor goes without a trace, the old daemon starts another.
#ifndef BERTH_CORE_DAEMON_HAND_OVER_CHANNEL_H_
#define BERTH_CORE_DAEMON_HAND_OVER_CHANNEL_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/base/unique_fd.h"

namespace berth {

// Told to the successor on its command line: one that does not know it refuses to start.
inline constexpr int kHandOverVersion = 1;

enum class HandOverWord { kPrepared, kTakeOver, kRecovered, kAccept, kServing, kFailed };

class HandOverChannel {
 public:
  static absl::StatusOr<std::pair<UniqueFd, UniqueFd>> MakePair();

  explicit HandOverChannel(UniqueFd socket) : socket_(std::move(socket)) {}

  // kUnavailable: the other one is gone.
  absl::Status Say(HandOverWord word, absl::string_view text = {});
  // Waits for this word and answers its text. An error is what the other one said instead (kAborted), kUnavailable when
  // it is gone, or kDeadlineExceeded at `deadline_ns` (CLOCK_MONOTONIC).
  absl::StatusOr<std::string> Expect(HandOverWord word, int64_t deadline_ns);

 private:
  UniqueFd socket_;
};

}  // namespace berth

#endif  // BERTH_CORE_DAEMON_HAND_OVER_CHANNEL_H_
