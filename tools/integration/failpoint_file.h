// Steers the failpoints of daemons from outside, while they run (core/base/failpoint.h).
#ifndef BERTH_TOOLS_INTEGRATION_FAILPOINT_FILE_H_
#define BERTH_TOOLS_INTEGRATION_FAILPOINT_FILE_H_

#include <compare>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace berth {

// The nth time (from 1) that a process passes a point.
struct FailpointPass {
  std::string point;
  int nth = 1;
  auto operator<=>(const FailpointPass&) const = default;
};

class FailpointFile {
 public:
  // `directory` exists, and is not among what a leak check looks at.
  explicit FailpointFile(const std::string& directory)
      : file_(directory + "/failpoints"), trace_(directory + "/failpoint-trace") {}

  // For the environment of each daemon that is to be steered.
  std::vector<std::string> Environment() const;

  // From now on: the terms of fail(9), see failpoint.h. "" for none.
  absl::Status Set(const std::string& terms) const;
  absl::Status CrashAt(const FailpointPass& pass) const;

  // Forgets what has been passed so far.
  absl::Status StartTrace() const;
  // What has been passed since, once nothing more is passed for so long: an operation's last steps may follow its
  // answer.
  std::vector<FailpointPass> Trace(absl::Duration quiet = absl::Milliseconds(300)) const;

 private:
  const std::string file_, trace_;
};

}  // namespace berth

#endif  // BERTH_TOOLS_INTEGRATION_FAILPOINT_FILE_H_
