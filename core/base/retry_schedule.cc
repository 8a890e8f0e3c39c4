#include "core/base/retry_schedule.h"

#include <algorithm>
#include <utility>

#include "core/base/clock.h"

namespace berth {

void RetrySchedule::Failed(const std::string& key, std::function<void()> attempt) {
  std::lock_guard lock(mutex_);
  if (closed_) return;
  Entry& entry = entries_[key];
  if (entry.turn != 0) return;
  entry.pause_ns = entry.pause_ns == 0 ? first_ns_ : std::min(entry.pause_ns * 2, longest_ns_);
  entry.turn = ++last_turn_;
  entry.attempt = std::move(attempt);
  timers_->At(MonotonicNanos() + entry.pause_ns, [this, key, turn = entry.turn] { Due(key, turn); });
}

void RetrySchedule::Due(const std::string& key, uint64_t turn) {
  std::function<void()> attempt;
  {
    std::lock_guard lock(mutex_);
    const auto entry = entries_.find(key);
    if (closed_ || entry == entries_.end() || entry->second.turn != turn) return;
    entry->second.turn = 0;
    attempt = std::exchange(entry->second.attempt, nullptr);
  }
  attempt();
}

void RetrySchedule::Succeeded(const std::string& key) {
  std::lock_guard lock(mutex_);
  entries_.erase(key);
}

void RetrySchedule::Close() {
  std::unique_ptr<TimerQueue> timers;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    entries_.clear();
    timers = std::move(timers_);
  }
}  // waits here for an attempt under way

}  // namespace berth
