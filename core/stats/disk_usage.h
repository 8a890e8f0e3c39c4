// What a container has written, remembered for a while: to know it, its whole tree is walked.
#ifndef BERTH_CORE_STATS_DISK_USAGE_H_
#define BERTH_CORE_STATS_DISK_USAGE_H_

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>

#include "absl/status/statusor.h"
#include "core/plugin/snapshotter.h"

namespace berth {

struct MeasuredUsage {
  SnapshotUsage usage;
  int64_t at_unix_ns = 0;
};

// Thread-safe.
class DiskUsage {
 public:
  // As often as the kubelet asks.
  static constexpr int64_t kFreshNs = 10'000'000'000;

  using Measure = std::function<absl::StatusOr<SnapshotUsage>()>;

  // What `measure` said at most kFreshNs ago, or says now. While one thread measures, others get what was known before,
  // and wait if nothing was. nullopt when it cannot be measured and never was. Blocks.
  std::optional<MeasuredUsage> Get(const Measure& measure);

 private:
  std::mutex measuring_;
  std::mutex mutex_;
  std::optional<MeasuredUsage> last_;
  int64_t fresh_until_ns_ = 0;  // CLOCK_MONOTONIC
};

}  // namespace berth

#endif  // BERTH_CORE_STATS_DISK_USAGE_H_
