// What the processes of a cgroup use, from the files of its controllers: version 1 and version 2.
#ifndef BERTH_CORE_STATS_CGROUP_STATS_H_
#define BERTH_CORE_STATS_CGROUP_STATS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "core/pod/cgroup.h"

namespace berth {

// One line of pressure stall information (Documentation/accounting/psi.rst).
struct PressureLine {
  double avg10 = 0, avg60 = 0, avg300 = 0;  // percent of the time
  uint64_t total_ns = 0;                    // stalled since the group was made
};
struct Pressure {
  PressureLine some, full;
};

struct MemoryStats {
  uint64_t usage_bytes = 0;
  uint64_t working_set_bytes = 0;  // usage less the file cache that the kernel would drop first
  uint64_t available_bytes = 0;    // limit less working set; 0 without a limit
  uint64_t rss_bytes = 0;          // anonymous memory
  uint64_t page_faults = 0, major_page_faults = 0;
};

struct SwapStats {
  uint64_t usage_bytes = 0;
  uint64_t available_bytes = 0;  // 0 without a limit
};

// A part whose controller or file is not there is empty: unknown is not nothing.
struct CgroupStats {
  int64_t at_unix_ns = 0;
  std::optional<uint64_t> cpu_ns;  // of all CPUs together, since the group was made
  std::optional<MemoryStats> memory;
  std::optional<SwapStats> swap;
  std::optional<Pressure> cpu_pressure, memory_pressure, io_pressure;  // version 2 only
};

// `path` as in CgroupTree. A group that is not there has no parts. Any thread; reads a dozen small files.
CgroupStats ReadCgroupStats(const CgroupTree& tree, const std::string& path);

// nullopt for what is no file of pressure stall information. A kernel without the "full" line leaves that zero.
std::optional<Pressure> ParsePressure(absl::string_view text);

}  // namespace berth

#endif  // BERTH_CORE_STATS_CGROUP_STATS_H_
