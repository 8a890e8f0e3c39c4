// When to try again what failed: pauses that grow, for many things at once.
#ifndef BERTH_CORE_BASE_RETRY_SCHEDULE_H_
#define BERTH_CORE_BASE_RETRY_SCHEDULE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "core/base/timer.h"

namespace berth {

// Thread-safe.
class RetrySchedule {
 public:
  // The pause doubles with each failure from `first_ns` to `longest_ns`.
  RetrySchedule(int64_t first_ns, int64_t longest_ns) : first_ns_(first_ns), longest_ns_(longest_ns) {}
  ~RetrySchedule() { Close(); }

  // `key` has failed: `attempt` is called once, after its pause, on the timer's thread; it must return at once. While
  // one is waiting for the same key nothing is added.
  void Failed(const std::string& key, std::function<void()> attempt);
  // It has succeeded: the next failure is a first one again. An attempt that waits is dropped.
  void Succeeded(const std::string& key);

  // After this returns no attempt is under way, and none will ever be made.
  void Close();

 private:
  struct Entry {
    int64_t pause_ns = 0;
    uint64_t turn = 0;  // of the attempt that waits; 0: none
    std::function<void()> attempt;
  };
  void Due(const std::string& key, uint64_t turn);

  const int64_t first_ns_, longest_ns_;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
  uint64_t last_turn_ = 0;
  bool closed_ = false;
  std::unique_ptr<TimerQueue> timers_ = std::make_unique<TimerQueue>();
};

}  // namespace berth

#endif  // BERTH_CORE_BASE_RETRY_SCHEDULE_H_
