// Reading a directory by its descriptor.
#ifndef BERTH_PLUGINS_SNAPSHOT_OVERLAY_DIRECTORY_H_
#define BERTH_PLUGINS_SNAPSHOT_OVERLAY_DIRECTORY_H_

#include <functional>

#include "berth/sdk/status.h"
#include "berth/sdk/unique_fd.h"

namespace berth::snapshot_overlay {

// Calls `visit` with each name but . and .. until it answers an error, which is then returned. The descriptor's own
// position is left alone. An entry may be removed by its visit.
sdk::Status ForEachEntry(int dir_fd, const std::function<sdk::Status(const char* name)>& visit);

// fsync of a directory.
sdk::Status SyncDirectory(int dir_fd, const char* what);

}  // namespace berth::snapshot_overlay

#endif  // BERTH_PLUGINS_SNAPSHOT_OVERLAY_DIRECTORY_H_
