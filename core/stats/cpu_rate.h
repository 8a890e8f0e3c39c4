// How many cores something keeps busy, from how its CPU time grows between two looks at it.
#ifndef BERTH_CORE_STATS_CPU_RATE_H_
#define BERTH_CORE_STATS_CPU_RATE_H_

#include <cstdint>
#include <mutex>
#include <optional>

namespace berth {

// Nothing is sampled in the background: the rate is that of the time since the look before. Thread-safe.
class CpuRate {
 public:
  // Two clients that ask at the same time do not make each other's time too short to measure.
  static constexpr int64_t kShortestNs = 100'000'000;

  // Takes a sample (CLOCK_MONOTONIC, nanoseconds of CPU time), gives billionths of a core; nullopt for the first.
  std::optional<uint64_t> Add(int64_t at_ns, uint64_t used_ns) {
    std::lock_guard lock(mutex_);
    if (at_ns_ != 0 && used_ns >= used_ns_) {
      const int64_t passed = at_ns - at_ns_;
      if (passed < kShortestNs) return rate_;
      rate_ = static_cast<uint64_t>(static_cast<double>(used_ns - used_ns_) * 1e9 / static_cast<double>(passed));
    } else {
      rate_.reset();  // a counter that went back is another one
    }
    at_ns_ = at_ns;
    used_ns_ = used_ns;
    return rate_;
  }

 private:
  std::mutex mutex_;
  int64_t at_ns_ = 0;
  uint64_t used_ns_ = 0;
  std::optional<uint64_t> rate_;
};

}  // namespace berth

#endif  // BERTH_CORE_STATS_CPU_RATE_H_
