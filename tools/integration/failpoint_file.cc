#include "tools/integration/failpoint_file.h"

#include <unistd.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "core/base/file.h"
#include "core/base/status.h"

namespace berth {

std::vector<std::string> FailpointFile::Environment() const {
  return {"BERTH_FAILPOINTS_FILE=" + file_, "BERTH_FAILPOINTS_TRACE=" + trace_};
}

absl::Status FailpointFile::Set(const std::string& terms) const {
  return WriteFileAtomic(file_, terms, 0600, Durability::kVolatile);
}

absl::Status FailpointFile::CrashAt(const FailpointPass& pass) const {
  return Set(absl::StrCat(pass.point, "=", pass.nth - 1, "*off->crash"));
}

// Truncated, not removed: a daemon that runs has it open, and appends.
absl::Status FailpointFile::StartTrace() const {
  if (truncate(trace_.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
  return ErrnoStatus("truncate " + trace_);
}

std::vector<FailpointPass> FailpointFile::Trace(absl::Duration quiet) const {
  std::string text = ReadFile(trace_).value_or("");
  for (absl::Time quiet_until = absl::Now() + quiet; absl::Now() < quiet_until;) {
    absl::SleepFor(absl::Milliseconds(20));
    std::string now = ReadFile(trace_).value_or("");
    if (now.size() != text.size()) quiet_until = absl::Now() + quiet;
    text = std::move(now);
  }
  std::vector<FailpointPass> passes;
  std::map<std::string, int> count;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::string point(line);
    passes.push_back({point, ++count[point]});
  }
  return passes;
}

}  // namespace berth
