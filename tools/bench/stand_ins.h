// A directory of programs that time the real ones, see timed_main.cc.
#ifndef BERTH_TOOLS_BENCH_STAND_INS_H_
#define BERTH_TOOLS_BENCH_STAND_INS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/bench/process_times.h"

namespace berth {

class StandIns {
 public:
  // `real`: paths of the programs to stand in for.
  static absl::StatusOr<StandIns> Make(const std::string& directory, const std::string& runfiles,
                                       const std::vector<std::string>& real);
  const std::string& directory() const { return directory_; }
  // What was written since the last call.
  absl::StatusOr<std::vector<ProcessTime>> Take();

 private:
  std::string directory_;
};

}  // namespace berth

#endif  // BERTH_TOOLS_BENCH_STAND_INS_H_
