#include "tools/bench/memory.h"

#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/file.h"

namespace berth {
namespace {

// The line "NAME:   123 kB" of a file of /proc, in bytes.
uint64_t Field(const std::string& path, absl::string_view name) {
  for (absl::string_view line : absl::StrSplit(ReadFile(path).value_or(""), '\n')) {
    if (!absl::StartsWith(line, name)) continue;
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    uint64_t kilobytes = 0;
    if (words.size() > 1 && absl::SimpleAtoi(words[1], &kilobytes)) return kilobytes << 10;
  }
  return 0;
}

}  // namespace

uint64_t Pss(pid_t pid) { return Field(absl::StrCat("/proc/", pid, "/smaps_rollup"), "Pss:"); }

uint64_t PeakResident(const std::string& pid) { return Field(absl::StrCat("/proc/", pid, "/status"), "VmHWM:"); }

uint64_t PssOfRuntime() {
  uint64_t sum = 0;
  for (const std::string& name : ListDir("/proc").value_or(std::vector<std::string>())) {
    int pid = 0;
    if (!absl::SimpleAtoi(name, &pid) || pid == 1 || pid == getpid()) continue;
    const std::string command = ReadFile(absl::StrCat("/proc/", pid, "/cmdline")).value_or("");
    if (absl::StartsWith(command, "/bin/sleep")) continue;
    sum += Pss(pid);
  }
  return sum;
}

}  // namespace berth
