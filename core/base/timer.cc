#include "core/base/timer.h"

#include <chrono>
#include <utility>

#include "core/base/clock.h"

namespace berth {

TimerQueue::~TimerQueue() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

TimerQueue::Id TimerQueue::At(int64_t deadline_ns, std::function<void()> call) {
  std::lock_guard lock(mutex_);
  const Id id = ++last_id_;
  if (closed_) return id;
  due_.emplace(std::pair(deadline_ns, id), std::move(call));
  deadlines_.emplace(id, deadline_ns);
  changed_.notify_all();
  return id;
}

void TimerQueue::Cancel(Id id) {
  std::unique_lock lock(mutex_);
  if (const auto found = deadlines_.find(id); found != deadlines_.end()) {
    due_.erase({found->second, id});
    deadlines_.erase(found);
    return;
  }
  finished_.wait(lock, [&] { return running_ != id; });
}

void TimerQueue::Close() {
  std::unique_lock lock(mutex_);
  closed_ = true;
  due_.clear();
  deadlines_.clear();
  finished_.wait(lock, [&] { return running_ == 0; });
}

void TimerQueue::Run() {
  std::unique_lock lock(mutex_);
  while (!closing_) {
    if (due_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto next = due_.begin();
    const int64_t left = next->first.first - MonotonicNanos();
    if (left > 0) {
      changed_.wait_for(lock, std::chrono::nanoseconds(left));
      continue;
    }
    running_ = next->first.second;
    std::function<void()> call = std::move(next->second);
    deadlines_.erase(running_);
    due_.erase(next);
    lock.unlock();
    call();
    call = nullptr;
    lock.lock();
    running_ = 0;
    finished_.notify_all();
  }
}

}  // namespace berth
