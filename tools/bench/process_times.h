// When the executor's and the CNI plugins' processes ran, as timed_main.cc wrote it down.
#ifndef BERTH_TOOLS_BENCH_PROCESS_TIMES_H_
#define BERTH_TOOLS_BENCH_PROCESS_TIMES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace berth {

struct ProcessTime {
  int64_t start = 0, end = 0;  // CLOCK_MONOTONIC ns
  bool executor = false;       // else a CNI plugin
  std::string words;           // its arguments
};

std::vector<ProcessTime> ParseProcessTimes(absl::string_view text);

// How long, between `start` and `end`, at least one of the processes ran that are (or are not) executors and whose
// words contain `id`. Overlapping ones count once.
int64_t Covered(const std::vector<ProcessTime>& times, bool executor, absl::string_view id, int64_t start, int64_t end);

}  // namespace berth

#endif  // BERTH_TOOLS_BENCH_PROCESS_TIMES_H_
