// Hands a serving daemon's work over to a successor, so that no call of any client fails.
//
//   1. The successor is started and gets everything ready that touches no state. If it cannot, nothing has happened.
//   2. New calls and connections wait. Those under way end, but for ExecSync, which is finished here, and for
//      StopContainer and PullImage, which may last: they move. If they do not end, those that wait are served here.
//   3. From here on there is no way back. Calls go to whoever serves on the socket, as soon as somebody does. Nothing
//   is
//      begun here any more, what was begun ends, and the store is closed.
//   4. The successor opens it, recovers as after a crash, and accepts. If it does not, this daemon's own binary takes
//   its
//      place, with the configuration that has worked.
#ifndef BERTH_CORE_DAEMON_HAND_OVER_H_
#define BERTH_CORE_DAEMON_HAND_OVER_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/daemon/parts.h"
#include "core/daemon/service_manager.h"
#include "core/daemon/successor.h"

namespace berth {

struct HandOverOptions {
  std::string config_path, config_text;  // of this daemon
  const ServiceManager* manager = nullptr;
  std::function<void()> on_given_up;  // once there is no way back, before the successor begins
};

class HandingOver {
 public:
  // What has come of it.
  struct Outcome {
    absl::Status status;  // why this is not what was asked for
    // Whoever serves now; nullptr: this daemon as before, unless `lost`.
    std::unique_ptr<Successor> successor;
    std::string version;  // of the successor
    bool lost = false;    // nobody serves
  };

  HandingOver(DaemonParts* parts, const HandOverOptions& options) : parts_(*parts), options_(options) {}

  // Once at a time, and not again once there is a successor. Blocks, not on a pool of the daemon's.
  Outcome Run(const std::string& binary);

 private:
  absl::StatusOr<std::unique_ptr<Successor>> Prepare(const std::string& binary, bool with_own_config);
  absl::Status HoldCalls();
  void GiveUpState();
  absl::Status Install(Successor* next);

  DaemonParts& parts_;
  const HandOverOptions options_;
  std::string version_;
};

// What the successor says of itself as it is prepared: it has to be for the same state, and tells its version.
struct Introduction {
  std::string version, root, state, socket;
};
std::string EncodeIntroduction(const Introduction& introduction);
absl::StatusOr<Introduction> DecodeIntroduction(absl::string_view text);

}  // namespace berth

#endif  // BERTH_CORE_DAEMON_HAND_OVER_H_
