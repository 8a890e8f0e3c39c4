// Waits, up to a time, until a number of things have been done.
#ifndef BERTH_CORE_POD_COUNTDOWN_H_
#define BERTH_CORE_POD_COUNTDOWN_H_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "core/base/clock.h"

namespace berth {

// Thread-safe.
class Countdown {
 public:
  void Add(size_t things) {
    std::lock_guard lock(mutex_);
    left_ += things;
  }
  void One() {
    std::lock_guard lock(mutex_);
    if (left_ > 0 && --left_ == 0) none_.notify_all();
  }
  // Answers how many are left: 0 before `deadline_ns` (CLOCK_MONOTONIC).
  size_t WaitUntil(int64_t deadline_ns) {
    std::unique_lock lock(mutex_);
    const std::chrono::nanoseconds patience(deadline_ns - MonotonicNanos());
    none_.wait_for(lock, patience, [this] { return left_ == 0; });
    return left_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable none_;
  size_t left_ = 0;
};

}  // namespace berth

#endif  // BERTH_CORE_POD_COUNTDOWN_H_
