// Named places at which a test makes an operation fail, crash or stall, in the terms of FreeBSD's fail(9).
//
// A step with an outside effect has a point before and after it: `RETURN_IF_ERROR(Failpoint("pod.run.network_ready"))`.
// Points are compiled into fastbuild and dbg builds only; in `-c opt` the call is an empty inline function.
//
// Set by the environment of the process, BERTH_FAILPOINTS="NAME=TERM;NAME=TERM":
//   TERM    = [COUNT*]ACTION ["->" TERM]
//   ACTION  = off | return(ERRNO) | sleep(MILLISECONDS) | crash
// COUNT* limits an action to its first COUNT passes; then the term after -> holds (off when there is none).
// A crash test steers a process that runs already, and the children that inherit its environment:
//   BERTH_FAILPOINTS_FILE   the same text in a file, taken up at the next pass whenever the file is another one
//   BERTH_FAILPOINTS_TRACE  a file to which each pass appends the point's name as a line
#ifndef BERTH_CORE_BASE_FAILPOINT_H_
#define BERTH_CORE_BASE_FAILPOINT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace berth {

#ifdef BERTH_FAILPOINTS
// Does what was set for `name`. Thread-safe. `crash` is _exit by SIGKILL: nothing is flushed, no destructor runs.
absl::Status Failpoint(absl::string_view name);
#else
inline absl::Status Failpoint(absl::string_view) { return absl::OkStatus(); }
#endif

// Replaces all points by those of `spec`. kInvalidArgument names the term that is wrong; then nothing changes.
absl::Status SetFailpoints(absl::string_view spec);

// The points passed so far in this process, sorted: what a crash test has to cover.
std::vector<std::string> FailpointsSeen();

}  // namespace berth

#endif  // BERTH_CORE_BASE_FAILPOINT_H_
