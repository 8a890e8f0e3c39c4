#include "core/stats/disk_usage.h"

#include "core/base/clock.h"

namespace berth {

std::optional<MeasuredUsage> DiskUsage::Get(const Measure& measure) {
  std::unique_lock measuring(measuring_, std::try_to_lock);
  if (!measuring) {
    {
      std::lock_guard lock(mutex_);
      if (last_) return last_;
    }
    measuring.lock();
  }
  {
    std::lock_guard lock(mutex_);
    if (MonotonicNanos() < fresh_until_ns_) return last_;
  }
  const absl::StatusOr<SnapshotUsage> usage = measure();
  std::lock_guard lock(mutex_);
  if (usage.ok()) {
    last_ = MeasuredUsage{*usage, UnixNanos()};
    fresh_until_ns_ = MonotonicNanos() + kFreshNs;
  }
  return last_;
}

}  // namespace berth
