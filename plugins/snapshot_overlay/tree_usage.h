// What a tree takes on its file system, walked by descriptors: no path is looked up twice and no link is followed.
#ifndef BERTH_PLUGINS_SNAPSHOT_OVERLAY_TREE_USAGE_H_
#define BERTH_PLUGINS_SNAPSHOT_OVERLAY_TREE_USAGE_H_

#include <cstdint>
#include <functional>

#include "berth/sdk/status.h"

namespace berth::snapshot_overlay {

struct TreeUsage {
  uint64_t bytes = 0;  // allocated, not apparent
  uint64_t inodes = 0;
  uint64_t fingerprint = 0;  // never 0
};

// The fingerprint says what is there, not what is in it: every path with its kind, mode, owner, size and device number.
// A tree that has lost a file or the end of one has another; contents that changed and kept their size go unnoticed,
// and times and extended attributes are not looked at, since labels and restored backups change them. Its value is in
// databases: how it is made never changes.
//
// Counts the directory `dir_fd` and everything below it; a file with several links counts once. Trees of any depth;
// what vanishes meanwhile is not counted. `give_up` is asked now and then: true ends the walk with kCancelled.
sdk::Result<TreeUsage> MeasureTree(int dir_fd, const std::function<bool()>& give_up);

}  // namespace berth::snapshot_overlay

#endif  // BERTH_PLUGINS_SNAPSHOT_OVERLAY_TREE_USAGE_H_
