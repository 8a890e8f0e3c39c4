// The process that a daemon hands over to, seen from the daemon that has started it.
#ifndef BERTH_CORE_DAEMON_SUCCESSOR_H_
#define BERTH_CORE_DAEMON_SUCCESSOR_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/daemon/hand_over_channel.h"

namespace berth {

// The numbers under which it inherits descriptors.
inline constexpr int kSuccessorChannelFd = 3, kSuccessorListenerFd = 4, kSuccessorConfigFd = 5;

struct SuccessorOptions {
  std::string binary;  // absolute
  std::string config_path;
  // What it takes instead of the file's contents: the configuration that is known to work.
  std::optional<std::string> config_text;
  int listener = -1;                     // borrowed
  std::vector<std::string> environment;  // KEY=VALUE, added to this process's own
};

class Successor {
 public:
  static absl::StatusOr<std::unique_ptr<Successor>> Start(const SuccessorOptions& options);
  // Kills it by SIGKILL unless it is on its own, and waits for its end.
  ~Successor();
  Successor(const Successor&) = delete;
  Successor& operator=(const Successor&) = delete;

  pid_t pid() const { return pid_; }
  absl::Status Say(HandOverWord word) { return channel_.Say(word); }
  // As HandOverChannel's; one that has ended instead is kAborted and says how.
  absl::StatusOr<std::string> Expect(HandOverWord word, int64_t deadline_ns);

  // It serves, and stays when this object goes.
  void LetGo() { on_its_own_ = true; }
  // Collects its exit status, if it has ended, so that nothing is left of it.
  void Reap();

 private:
  Successor(pid_t pid, UniqueFd socket) : pid_(pid), channel_(std::move(socket)) {}
  std::string HowItEnded();

  const pid_t pid_;
  HandOverChannel channel_;
  bool on_its_own_ = false;
  std::optional<int> wait_status_;
};

}  // namespace berth

#endif  // BERTH_CORE_DAEMON_SUCCESSOR_H_
