// Finished trees on their way to the disk, while the threads that wrote them go on with others.
#ifndef BERTH_CORE_IMAGE_SYNC_QUEUE_H_
#define BERTH_CORE_IMAGE_SYNC_QUEUE_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "absl/status/status.h"
#include "core/base/unique_fd.h"

namespace berth {

// One thread, which syncs one tree's file system after the other: the first sync writes what all that wait have, and
// leaves little to the next. Any thread may call Add.
class SyncQueue {
 public:
  // OK: all that had been written below the tree's directory when it was added would survive a power cut, and no write
  // has failed since the directory was opened. Called on the queue's thread, in the order of Add.
  using Done = std::function<void(const absl::Status&)>;

  SyncQueue() = default;
  // Waits for the sync that runs; trees it has not come to are dropped, and their Done is never called.
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
  std::deque<Tree> waiting_;
  bool closing_ = false;
  std::thread thread_;  // from the first tree on
};

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_SYNC_QUEUE_H_
