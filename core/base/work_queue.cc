#include "core/base/work_queue.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <utility>

#include "core/base/clock.h"
#include "core/base/log.h"

namespace berth {
namespace {

constexpr std::chrono::seconds kIdleTime{10};
constexpr uintptr_t kStackKept = 16 << 10;

}  // namespace

ThreadPool::ThreadPool(size_t threads, size_t stack_bytes) : limit_(threads), stack_bytes_(stack_bytes) {
  std::lock_guard lock(mutex_);
  StartThread();
}

ThreadPool::~ThreadPool() {
  std::unique_lock lock(mutex_);
  closing_ = true;
  wake_.notify_all();
  gone_.wait(lock, [this] { return threads_ == 0 && tasks_.empty(); });
}

void ThreadPool::Add(Task task) {
  std::lock_guard lock(mutex_);
  AddLocked(std::move(task));
}

bool ThreadPool::TryAdd(Task task, size_t most_waiting) {
  std::lock_guard lock(mutex_);
  if (tasks_.size() > most_waiting) return false;
  AddLocked(std::move(task));
  return true;
}

bool ThreadPool::WaitUntilIdle(int64_t deadline_ns) {
  std::unique_lock lock(mutex_);
  const std::chrono::nanoseconds patience(std::max<int64_t>(deadline_ns - MonotonicNanos(), 0));
  return calm_.wait_for(lock, patience, [this] { return tasks_.empty() && idle_ == threads_; });
}

void ThreadPool::AddLocked(Task task) {
  tasks_.push_back(std::move(task));
  if (idle_ >= tasks_.size()) {
    wake_.notify_one();
  } else if (threads_ < limit_) {
    StartThread();
  }
}

void ThreadPool::StartThread() {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, stack_bytes_);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  const int err = pthread_create(&thread, &attributes, ThreadMain, this);
  pthread_attr_destroy(&attributes);
  if (err == 0) {
    ++threads_;
    starved_ = false;
  } else if (!std::exchange(starved_, true)) {
    LogError("start a worker thread: what waits is done by those that are there",
             {{"error", strerror(err)}, {"threads", threads_}, {"hint", "raise TasksMax of the daemon's service"}});
  }
}

void* ThreadPool::ThreadMain(void* self) {
  static_cast<ThreadPool*>(self)->Run();
  return nullptr;
}

void ThreadPool::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (tasks_.empty()) {
      if (closing_) break;
      if (++idle_ == threads_) calm_.notify_all();
      const auto wanted = [this] { return !tasks_.empty() || closing_; };
      if (!wake_.wait_for(lock, kIdleTime, wanted) && threads_ == 1) {
        lock.unlock();
        GiveMemoryBack();
        lock.lock();
        wake_.wait(lock, wanted);
      }
      --idle_;
      if (!wanted()) break;
      continue;
    }
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    task = nullptr;  // what it captured dies outside the lock
    lock.lock();
  }
  --threads_;
  calm_.notify_all();
  gone_.notify_all();
}

// The work is over: what it left free in the allocator, and the depths of the stack, go back to the kernel instead of
// counting as ours.
void ThreadPool::GiveMemoryBack() {
  malloc_trim(0);
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
  void* lowest = nullptr;
  size_t bytes = 0;
  pthread_attr_getstack(&attributes, &lowest, &bytes);
  pthread_attr_destroy(&attributes);
  // Below this frame there is nothing that lives; a few pages are left to what is called from here.
  const auto low = reinterpret_cast<uintptr_t>(lowest), here = reinterpret_cast<uintptr_t>(&attributes);
  if (here > low + kStackKept) madvise(lowest, (here - kStackKept - low) & ~uintptr_t{4095}, MADV_DONTNEED);
}

SerialQueue::SerialQueue(ThreadPool* pool) : pool_(pool) {}

void SerialQueue::Add(Task task) {
  std::lock_guard lock(state_->mutex);
  state_->tasks.push_back(std::move(task));
  if (state_->running || state_->held) return;
  state_->running = true;
  pool_->Add([pool = pool_, state = state_] { RunNext(pool, state); });
}

void SerialQueue::Hold() {
  std::lock_guard lock(state_->mutex);
  state_->held = true;
}

void SerialQueue::Release(Task first) {
  std::lock_guard lock(state_->mutex);
  if (!std::exchange(state_->held, false)) return;
  state_->tasks.push_front(std::move(first));
  if (std::exchange(state_->running, true)) return;  // the task that holds it has not returned yet
  pool_->Add([pool = pool_, state = state_] { RunNext(pool, state); });
}

void SerialQueue::Drop() {
  std::deque<Task> dropped;  // dies outside the lock: a task may hold the last handle of what owns the queue
  std::lock_guard lock(state_->mutex);
  if (state_->held) dropped.swap(state_->tasks);
}

// One task per turn, so that a long queue does not keep a thread from the others.
void SerialQueue::RunNext(ThreadPool* pool, std::shared_ptr<State> state) {
  Task task;
  {
    std::lock_guard lock(state->mutex);
    task = std::move(state->tasks.front());
    state->tasks.pop_front();
  }
  task();
  task = nullptr;
  std::lock_guard lock(state->mutex);
  if (state->tasks.empty() || state->held) {
    state->running = false;
  } else {
    pool->Add([pool, state] { RunNext(pool, state); });
  }
}

}  // namespace berth
