#include "core/cri/call_gate.h"

namespace berth {

void CallGate::Pass(std::function<void(Served)> run) {
  Served served;
  {
    std::lock_guard lock(mutex_);
    if (closed_) {
      waiting_.push_back(std::move(run));
      return;
    }
    ++entering_;
    served = served_;
  }
  run(served);
  Leave();
}

CallGate::Entry CallGate::Enter() {
  std::lock_guard lock(mutex_);
  ++entering_;
  return Entry(this, served_);
}

void CallGate::Leave() {
  // Notified under the lock: the one who waits may destroy this as soon as it is released.
  std::lock_guard lock(mutex_);
  if (--entering_ == 0) left_.notify_all();
}

void CallGate::Close() {
  std::unique_lock lock(mutex_);
  closed_ = true;
  left_.wait(lock, [this] { return entering_ == 0; });
}

void CallGate::Open(Served served) {
  std::vector<std::function<void(Served)>> waiting;
  {
    std::unique_lock lock(mutex_);
    served_ = served;
    closed_ = false;
    waiting.swap(waiting_);
    // Those that entered while it was closed were told the old answer.
    left_.wait(lock, [this] { return entering_ == 0; });
    entering_ += waiting.size();
  }
  for (const auto& run : waiting) {
    run(served);
    Leave();
  }
}

}  // namespace berth
