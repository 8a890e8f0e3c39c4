// Finished trees on their way to the disk, while the threads that wrote them go on with others.
#ifndef BERTH_CORE_IMAGE_SYNC_QUEUE_H_
#define BERTH_CORE_IMAGE_SYNC_QUEUE_H_

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "core/base/unique_fd.h"

namespace berth {

// One thread; one syncfs(2) for all trees of a file system that came while the last one ran. Any thread may call Add.
class SyncQueue {
 public:
  // OK: all that had been written below the tree's directory when it was added would survive a power cut. Called on the
  // queue's thread, in no order.
  using Done = std::function<void(const absl::Status&)>;

  SyncQueue() = default;
  // Waits for a sync that runs; what it has not begun with is dropped, and its Done never called.
  ~SyncQueue();
  SyncQueue(const SyncQueue&) = delete;
  SyncQueue& operator=(const SyncQueue&) = delete;

  void Add(UniqueFd directory, Done done);

 private:
  struct Tree {
    UniqueFd directory;
    Done done;
  };
  void Run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Tree> waiting_;
  bool closing_ = false;
  std::thread thread_;  // from the first tree on
};

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_SYNC_QUEUE_H_
