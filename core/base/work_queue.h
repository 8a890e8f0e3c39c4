// Bounded threads for blocking work, and serial queues on top of them.
#ifndef BERTH_CORE_BASE_WORK_QUEUE_H_
#define BERTH_CORE_BASE_WORK_QUEUE_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace berth {

using Task = std::function<void()>;

// At most `threads` threads, started when there is work and ended after they were idle for a while, all but one: where
// the node has no thread left to give, work goes on with the one that is there. Tasks start in the order they came. Any
// thread may call Add.
class ThreadPool {
 public:
  explicit ThreadPool(size_t threads, size_t stack_bytes = 512 << 10);
  // Runs what is queued, then waits for it.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  void Add(Task task);
  // False, and nothing is done, when more than `most_waiting` tasks wait for a thread already.
  bool TryAdd(Task task, size_t most_waiting);
  // True once no task waits or runs; false when `deadline_ns` (CLOCK_MONOTONIC) came first. Not from inside a task.
  bool WaitUntilIdle(int64_t deadline_ns);

 private:
  void AddLocked(Task task);
  static void* ThreadMain(void* self);
  void Run();
  void StartThread();
  static void GiveMemoryBack();

  const size_t limit_;
  const size_t stack_bytes_;
  std::mutex mutex_;
  std::condition_variable wake_, gone_, calm_;
  std::deque<Task> tasks_;
  size_t threads_ = 0, idle_ = 0;
  bool closing_ = false;
  bool starved_ = false;  // no thread could be started when one was last asked for
};

// Tasks of one queue run one after the other, in order, on the pool's threads. A queue that is empty costs no thread.
// Destroying the handle does not drop queued tasks.
class SerialQueue {
 public:
  explicit SerialQueue(ThreadPool* pool);  // the pool outlives every task
  void Add(Task task);

  // Before the first Add, or from inside a task of this queue: no further task runs, and none costs a thread, until
  // Release. Then `first` comes before all that wait.
  void Hold();
  // Drops `first` unless the queue is held.
  void Release(Task first);
  // Drops what waits in a queue that is held: it will never be released.
  void Drop();

 private:
  struct State {
    std::mutex mutex;
    std::deque<Task> tasks;
    bool running = false, held = false;
  };
  static void RunNext(ThreadPool* pool, std::shared_ptr<State> state);

  ThreadPool* const pool_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace berth

#endif  // BERTH_CORE_BASE_WORK_QUEUE_H_
