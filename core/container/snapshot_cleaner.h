// Frees the space of removed snapshots in the background, so that no RemoveContainer waits for it.
#ifndef BERTH_CORE_CONTAINER_SNAPSHOT_CLEANER_H_
#define BERTH_CORE_CONTAINER_SNAPSHOT_CLEANER_H_

#include <memory>
#include <mutex>
#include <set>

#include "core/base/work_queue.h"
#include "core/plugin/snapshotter.h"

namespace berth {

// Thread-safe. The pool outlives it, and runs what it was given before the snapshotters die.
class SnapshotCleaner {
 public:
  explicit SnapshotCleaner(ThreadPool* pool) : pool_(pool) {}

  // Calls snapshotter->Cleanup soon. Requests that come while one waits are one.
  void Request(Snapshotter* snapshotter);

 private:
  struct Waiting {
    std::mutex mutex;
    std::set<Snapshotter*> snapshotters;
  };
  ThreadPool* const pool_;
  const std::shared_ptr<Waiting> waiting_ = std::make_shared<Waiting>();
};

}  // namespace berth

#endif  // BERTH_CORE_CONTAINER_SNAPSHOT_CLEANER_H_
