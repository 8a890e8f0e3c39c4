#include "tools/bench/process_times.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace berth {

std::vector<ProcessTime> ParseProcessTimes(absl::string_view text) {
  std::vector<ProcessTime> times;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> parts = absl::StrSplit(line, absl::MaxSplits(' ', 3));
    ProcessTime time;
    if (parts.size() < 3 || !absl::SimpleAtoi(parts[0], &time.start) || !absl::SimpleAtoi(parts[1], &time.end))
      continue;
    time.executor = parts[2] == "crun" || parts[2] == "runc";
    if (parts.size() == 4) time.words = std::string(parts[3]);
    times.push_back(std::move(time));
  }
  return times;
}

int64_t Covered(const std::vector<ProcessTime>& times, bool executor, absl::string_view id, int64_t start,
                int64_t end) {
  std::vector<std::pair<int64_t, int64_t>> spans;
  for (const ProcessTime& time : times) {
    if (time.executor != executor || !absl::StrContains(time.words, id)) continue;
    const int64_t from = std::max(time.start, start), to = std::min(time.end, end);
    if (from < to) spans.emplace_back(from, to);
  }
  std::sort(spans.begin(), spans.end());
  int64_t covered = 0, reached = start;
  for (const auto& [from, to] : spans) {
    if (to > reached) covered += to - std::max(from, reached);
    reached = std::max(reached, to);
  }
  return covered;
}

}  // namespace berth
