#include "tools/load/load_report.h"

#include "absl/strings/str_cat.h"

namespace berth {

std::string LoadReport::Summary() const {
  const LoadCounts& c = counts_;
  return absl::StrCat(c.calls.load(), " calls, ", c.interrupted.load(), " interrupted, ", c.pods.load(), " pods, ",
                      c.containers.load(), " containers, ", c.exit_codes.load(), " exit codes, ", c.log_lines.load(),
                      " log lines, ", c.execs.load(), " execs, ", c.updates.load(), " updates, ", c.rotations.load(),
                      " rotations, ", c.pulls.load(), " pulls, ", fault_count(), " faults");
}

}  // namespace berth
