#include "core/image/sync_queue.h"

#include <sys/stat.h>
#include <unistd.h>

#include <map>
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
    const std::vector<Tree> trees = std::exchange(waiting_, {});
    lock.unlock();
    std::map<dev_t, absl::Status> synced;
    for (const Tree& tree : trees) {
      struct stat st;
      if (fstat(tree.directory.get(), &st) != 0) {
        tree.done(ErrnoStatus("stat the layer's directory"));
        continue;
      }
      const auto [found, first] = synced.try_emplace(st.st_dev);
      if (first) found->second = SyncFileSystemOf(tree.directory.get());
      tree.done(found->second);
    }
    lock.lock();
  }
}

}  // namespace berth
