// The directory that removed snapshots are renamed into: out of the way at once, emptied later.
#ifndef BERTH_PLUGINS_SNAPSHOT_OVERLAY_TRASH_H_
#define BERTH_PLUGINS_SNAPSHOT_OVERLAY_TRASH_H_

#include <functional>
#include <string>

#include "berth/sdk/status.h"

namespace berth::snapshot_overlay {

// Renames `from_fd`/`name` into the trash under a name that is free there. kNotFound if there is no such entry.
sdk::Status MoveToTrash(int from_fd, const std::string& name, int trash_fd);

// Removes everything in the trash: trees of any depth, no link followed, no other file system entered. Several threads
// and processes may empty one trash at once. `give_up` is asked now and then: true ends the work with kCancelled.
sdk::Status EmptyTrash(int trash_fd, const std::function<bool()>& give_up);

}  // namespace berth::snapshot_overlay

#endif  // BERTH_PLUGINS_SNAPSHOT_OVERLAY_TRASH_H_
