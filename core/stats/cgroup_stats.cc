#include "core/stats/cgroup_stats.h"

#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/base/clock.h"
#include "core/base/file.h"

namespace berth {
namespace {

// Version 1 has no word for "no limit": the kernel shows the largest multiple of its page size. Nobody limits beyond.
constexpr uint64_t kNoLimit = uint64_t{1} << 62;

// One group's files.
class Group {
 public:
  Group(const CgroupTree& tree, const std::string& path) : tree_(tree), path_(path) {}

  std::optional<std::string> Text(const std::string& name) const {
    const std::string file = tree_.FileOf(path_, name);
    if (file.empty()) return std::nullopt;
    auto text = ReadFile(file);
    if (!text.ok()) return std::nullopt;
    return *std::move(text);
  }

  // "max" is kNoLimit.
  std::optional<uint64_t> Number(const std::string& name) const {
    const std::optional<std::string> text = Text(name);
    if (!text) return std::nullopt;
    const absl::string_view digits = absl::StripAsciiWhitespace(*text);
    if (digits == "max") return kNoLimit;
    uint64_t value = 0;
    if (!absl::SimpleAtoi(digits, &value)) return std::nullopt;
    return value;
  }

  // Lines of "key value".
  std::map<std::string, uint64_t> Table(const std::string& name) const {
    std::map<std::string, uint64_t> table;
    const std::optional<std::string> text = Text(name);
    for (absl::string_view line : absl::StrSplit(text.value_or(""), '\n')) {
      const std::pair<absl::string_view, absl::string_view> field = absl::StrSplit(line, absl::MaxSplits(' ', 1));
      uint64_t value = 0;
      if (absl::SimpleAtoi(field.second, &value)) table.emplace(std::string(field.first), value);
    }
    return table;
  }

  std::optional<Pressure> PressureOf(const std::string& name) const {
    const std::optional<std::string> text = Text(name);
    return text ? ParsePressure(*text) : std::nullopt;
  }

 private:
  const CgroupTree& tree_;
  const std::string& path_;
};

uint64_t Less(uint64_t from, uint64_t what) { return from > what ? from - what : 0; }

// The names of the fields of memory.stat differ between the versions, and so do those of the files.
struct MemoryNames {
  const char *usage, *limit, *inactive_file, *rss, *faults, *major_faults;
};
constexpr MemoryNames kMemory1 = {"memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file", "total_rss",
                                  "total_pgfault",         "total_pgmajfault"};
constexpr MemoryNames kMemory2 = {"memory.current", "memory.max", "inactive_file", "anon", "pgfault", "pgmajfault"};

std::optional<MemoryStats> ReadMemory(const Group& group, const MemoryNames& names) {
  const std::optional<uint64_t> usage = group.Number(names.usage);
  if (!usage) return std::nullopt;
  const std::map<std::string, uint64_t> table = group.Table("memory.stat");
  const auto field = [&table](const char* name) {
    const auto found = table.find(name);
    return found == table.end() ? uint64_t{0} : found->second;
  };
  MemoryStats memory;
  memory.usage_bytes = *usage;
  memory.working_set_bytes = Less(*usage, field(names.inactive_file));
  const uint64_t limit = group.Number(names.limit).value_or(kNoLimit);
  if (limit < kNoLimit) memory.available_bytes = Less(limit, memory.working_set_bytes);
  memory.rss_bytes = field(names.rss);
  memory.page_faults = field(names.faults);
  memory.major_page_faults = field(names.major_faults);
  return memory;
}

std::optional<SwapStats> ReadSwap2(const Group& group) {
  const std::optional<uint64_t> usage = group.Number("memory.swap.current");
  if (!usage) return std::nullopt;
  SwapStats swap;
  swap.usage_bytes = *usage;
  const uint64_t limit = group.Number("memory.swap.max").value_or(kNoLimit);
  if (limit < kNoLimit) swap.available_bytes = Less(limit, *usage);
  return swap;
}

// Version 1 counts memory and swap together.
std::optional<SwapStats> ReadSwap1(const Group& group) {
  const std::optional<uint64_t> both = group.Number("memory.memsw.usage_in_bytes");
  const std::optional<uint64_t> memory = group.Number("memory.usage_in_bytes");
  if (!both || !memory) return std::nullopt;
  SwapStats swap;
  swap.usage_bytes = Less(*both, *memory);
  const uint64_t both_limit = group.Number("memory.memsw.limit_in_bytes").value_or(kNoLimit);
  const uint64_t memory_limit = group.Number("memory.limit_in_bytes").value_or(kNoLimit);
  if (both_limit < kNoLimit && memory_limit < kNoLimit) {
    swap.available_bytes = Less(Less(both_limit, memory_limit), swap.usage_bytes);
  }
  return swap;
}

}  // namespace

std::optional<Pressure> ParsePressure(absl::string_view text) {
  Pressure pressure;
  bool known = false;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.empty()) continue;
    PressureLine* out = words[0] == "some" ? &pressure.some : words[0] == "full" ? &pressure.full : nullptr;
    if (out == nullptr) continue;
    for (absl::string_view word : words) {
      const std::pair<absl::string_view, absl::string_view> field = absl::StrSplit(word, absl::MaxSplits('=', 1));
      double* average = field.first == "avg10"    ? &out->avg10
                        : field.first == "avg60"  ? &out->avg60
                        : field.first == "avg300" ? &out->avg300
                                                  : nullptr;
      uint64_t microseconds = 0;
      if (average != nullptr && absl::SimpleAtod(field.second, average)) known = true;
      if (field.first == "total" && absl::SimpleAtoi(field.second, &microseconds)) out->total_ns = microseconds * 1000;
    }
  }
  if (!known) return std::nullopt;
  return pressure;
}

CgroupStats ReadCgroupStats(const CgroupTree& tree, const std::string& path) {
  const Group group(tree, path);
  CgroupStats stats;
  stats.at_unix_ns = UnixNanos();
  if (tree.version() == 1) {
    stats.cpu_ns = group.Number("cpuacct.usage");
    stats.memory = ReadMemory(group, kMemory1);
    stats.swap = ReadSwap1(group);
    return stats;
  }
  const std::map<std::string, uint64_t> cpu = group.Table("cpu.stat");
  if (const auto found = cpu.find("usage_usec"); found != cpu.end()) stats.cpu_ns = found->second * 1000;
  stats.memory = ReadMemory(group, kMemory2);
  stats.swap = ReadSwap2(group);
  stats.cpu_pressure = group.PressureOf("cpu.pressure");
  stats.memory_pressure = group.PressureOf("memory.pressure");
  stats.io_pressure = group.PressureOf("io.pressure");
  return stats;
}

}  // namespace berth
