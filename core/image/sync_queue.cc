#include "core/image/sync_queue.h"

#include <unistd.h>

#include <utility>

#include "core/base/status.h"

// failpoint of this file: image.layer.unpacked
namespace berth {
namespace {

absl::Status SyncFileSystemOf(int directory) {
  if (syncfs(directory) == 0) return absl::OkStatus();
  return ErrnoStatus("sync the layer's file system");
}

}  // namespace

SyncQueue::~SyncQueue() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void SyncQueue::Add(UniqueFd directory, Done done) {
  const std::lock_guard<std::mutex> lock(mutex_);
  waiting_.push_back({std::move(directory), std::move(done)});
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  wake_.notify_one();
}

void SyncQueue::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return closing_ || !waiting_.empty(); });
    if (closing_) return;
    const Tree tree = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    // By its own descriptor, also when the sync before has written all it has: the kernel tells a descriptor of the
    // writes that failed since it was opened, and another tree's may be younger.
    tree.done(SyncFileSystemOf(tree.directory.get()));
    lock.lock();
  }
}

}  // namespace berth
