#include "core/container/snapshot_cleaner.h"

#include "core/base/failpoint.h"
#include "core/base/log.h"

namespace berth {

void SnapshotCleaner::Request(Snapshotter* snapshotter) {
  {
    std::lock_guard lock(waiting_->mutex);
    if (!waiting_->snapshotters.insert(snapshotter).second) return;
  }
  pool_->Add([waiting = waiting_, snapshotter] {
    {
      std::lock_guard lock(waiting->mutex);
      waiting->snapshotters.erase(snapshotter);  // what is removed from now on needs another round
    }
    absl::Status status = Failpoint("container.snapshot.cleanup");
    if (status.ok()) status = snapshotter->Cleanup(Call());
    if (!status.ok()) {
      LogWarn("free the space of removed snapshots; the next removal tries again", {{"error", status.message()}});
    }
  });
}

}  // namespace berth
