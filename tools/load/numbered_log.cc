#include "tools/load/numbered_log.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/file.h"
#include "core/base/status.h"

namespace berth {

absl::StatusOr<NumberedLog> ReadNumberedLog(const std::vector<std::string>& files, const std::string& word) {
  NumberedLog log;
  for (const std::string& file : files) {
    ASSIGN_OR_RETURN(std::string text, ReadFile(file, uint64_t{1} << 30));
    // The supervisor may be writing the last line right now; a whole file ends with a line break.
    text.resize(text.rfind('\n') + 1);  // npos + 1 is 0
    for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
      const std::vector<absl::string_view> parts = absl::StrSplit(line, absl::MaxSplits(' ', 3));
      const auto bad = [&](absl::string_view why) {
        return absl::DataLossError(absl::StrCat(file, ": ", why, ": \"", line, "\" instead of line ", log.lines));
      };
      if (parts.size() != 4) return bad("no line of a CRI log");
      if (parts[1] != "stdout" || parts[2] != "F") return bad("not a whole line of stdout");
      if (!log.after.empty()) return bad("a line behind the last one");
      if (parts[3] == absl::StrCat(word, " ", log.lines)) {
        ++log.lines;
      } else if (absl::StartsWith(parts[3], word)) {
        return bad("lost or doubled lines");
      } else {
        log.after = std::string(parts[3]);
      }
    }
  }
  return log;
}

}  // namespace berth
