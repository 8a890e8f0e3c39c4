// A disk of one's own for a runtime: what others have written, or removed, on this machine's does not slow it down.
#ifndef BERTH_TOOLS_BENCH_FRESH_DISK_H_
#define BERTH_TOOLS_BENCH_FRESH_DISK_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace berth {

// Makes `directory` and mounts a new ext4 with a journal on it, as nodes have. Its blocks are in `directory`.disk, all
// allocated, and are read and written past the page cache of the file system that holds them. The mount, and with it
// the loop device, goes with the mount namespace of the caller.
absl::Status MountFreshDisk(const std::string& directory, uint64_t megabytes);

}  // namespace berth

#endif  // BERTH_TOOLS_BENCH_FRESH_DISK_H_
