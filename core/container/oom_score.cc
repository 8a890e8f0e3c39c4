#include "core/container/oom_score.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/file.h"
#include "core/base/status.h"

namespace berth {
namespace {

// A group that forks faster than this is walked has children of changed parents in the last rounds.
constexpr int kMostRounds = 16;
constexpr uint64_t kMostProcsBytes = 64 << 20;

std::string FileOf(pid_t pid) { return absl::StrCat("/proc/", pid, "/oom_score_adj"); }

absl::Status Write(pid_t pid, int value) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(FileOf(pid), O_WRONLY));
  // failpoint: container.update.oom_score, container.update.undo
  return Annotate(WriteAll(fd.get(), absl::StrCat(value)), absl::StrCat("write ", value, " to ", FileOf(pid)));
}

// Processes of the group with the value `from`, but `first`.
std::vector<pid_t> WithScore(const std::string& procs_file, pid_t first, int from) {
  std::vector<pid_t> found;
  const auto text = ReadFile(procs_file, kMostProcsBytes);
  if (!text.ok()) return found;
  for (absl::string_view line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
    int pid = 0;
    if (!absl::SimpleAtoi(line, &pid) || pid <= 0 || pid == first) continue;
    if (const auto score = ReadOomScoreAdj(pid); score.ok() && *score == from) found.push_back(pid);
  }
  return found;
}

}  // namespace

absl::StatusOr<int> ReadOomScoreAdj(pid_t pid) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(FileOf(pid)));
  int value = 0;
  if (!absl::SimpleAtoi(text, &value)) return absl::InternalError(absl::StrCat(FileOf(pid), " holds no number"));
  return value;
}

absl::StatusOr<int> SetOomScoreAdj(pid_t first, const std::string& procs_file, int value) {
  ASSIGN_OR_RETURN(const int before, ReadOomScoreAdj(first));
  absl::Status written = Write(first, value);
  if (ErrnoOf(written) == EACCES) {
    ASSIGN_OR_RETURN(const int own, ReadOomScoreAdj(getpid()));
    value = std::max(value, own);
    written = Write(first, value);
  }
  RETURN_IF_ERROR(written);
  if (value == before || procs_file.empty()) return value;
  for (int round = 0; round < kMostRounds; ++round) {
    const std::vector<pid_t> rest = WithScore(procs_file, first, before);
    if (rest.empty()) break;
    for (const pid_t pid : rest) Write(pid, value).IgnoreError();  // it may have ended
  }
  return value;
}

}  // namespace berth
