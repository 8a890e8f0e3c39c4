// Calls at a later time, on one thread.
#ifndef BERTH_CORE_BASE_TIMER_H_
#define BERTH_CORE_BASE_TIMER_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

namespace berth {

// Thread-safe. A call must return at once: it hands work to a queue.
class TimerQueue {
 public:
  using Id = uint64_t;

  TimerQueue() : thread_([this] { Run(); }) {}
  // Drops what is not yet due and waits for a call under way.
  ~TimerQueue();
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  // Calls `call` once `deadline_ns` (CLOCK_MONOTONIC) has passed.
  Id At(int64_t deadline_ns, std::function<void()> call);
  // After this returns the call is done or will never happen. Not from inside a call.
  void Cancel(Id id);
  // After this returns none is under way, and none will ever be made, whatever At is asked. Not from inside a call.
  void Close();

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable changed_, finished_;
  std::map<std::pair<int64_t, Id>, std::function<void()>> due_;
  std::map<Id, int64_t> deadlines_;
  Id last_id_ = 0, running_ = 0;
  bool closing_ = false, closed_ = false;
  std::thread thread_;  // starts when all else is there
};

}  // namespace berth

#endif  // BERTH_CORE_BASE_TIMER_H_
