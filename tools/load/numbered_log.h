// Logs whose lines are numbered, so that one that is missing or doubled is seen.
#ifndef BERTH_TOOLS_LOAD_NUMBERED_LOG_H_
#define BERTH_TOOLS_LOAD_NUMBERED_LOG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace berth {

struct NumberedLog {
  uint64_t lines = 0;  // "WORD 0" to "WORD lines-1", each once and in order
  std::string after;   // the text of the line behind them, if there is one
};

// Reads the files of one log in the CRI format, the oldest first: numbered lines, then at most one other line. Any
// deviation is kDataLoss and says which line: a gap, a repetition, a torn line, another stream than stdout.
absl::StatusOr<NumberedLog> ReadNumberedLog(const std::vector<std::string>& files, const std::string& word);

}  // namespace berth

#endif  // BERTH_TOOLS_LOAD_NUMBERED_LOG_H_
