#include "core/daemon/watchdog.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace berth {

struct Watchdog::Shared {
  std::mutex mutex;
  std::condition_variable changed;
  bool answered = false, stop = false;
};

Watchdog::Watchdog(int64_t interval_ns, Ask ask, std::function<void()> alive)
    : pause_ns_(interval_ns / 2),
      ask_(std::move(ask)),
      alive_(std::move(alive)),
      shared_(std::make_shared<Shared>()),
      thread_([this] { Run(); }) {}

Watchdog::~Watchdog() {
  {
    std::lock_guard lock(shared_->mutex);
    shared_->stop = true;
    shared_->changed.notify_all();
  }
  thread_.join();
}

void Watchdog::Run() {
  std::unique_lock lock(shared_->mutex);
  while (!shared_->stop) {
    shared_->answered = false;
    lock.unlock();
    ask_([shared = shared_] {
      std::lock_guard lock(shared->mutex);
      shared->answered = true;
      shared->changed.notify_all();
    });
    lock.lock();
    shared_->changed.wait(lock, [this] { return shared_->answered || shared_->stop; });
    if (shared_->stop) return;
    lock.unlock();
    alive_();
    lock.lock();
    shared_->changed.wait_for(lock, std::chrono::nanoseconds(pause_ns_), [this] { return shared_->stop; });
  }
}

}  // namespace berth
