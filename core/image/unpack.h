// A layer's tar archive into a directory (image-spec layer.md). libarchive parses; every file is made by our own code
// relative to a directory descriptor, and no name in the archive reaches anything outside of that directory.
#ifndef BERTH_CORE_IMAGE_UNPACK_H_
#define BERTH_CORE_IMAGE_UNPACK_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/plugin/snapshotter.h"

namespace berth {

struct UnpackLimits {
  uint64_t max_entries = 4'000'000;
  uint64_t max_path_bytes = 4095;
  uint64_t max_depth = 256;                 // directories below each other: what has been unpacked must be removable
  uint64_t max_bytes = uint64_t{64} << 30;  // of file contents
  uint64_t max_file_bytes = uint64_t{8} << 40;  // apparent size of one sparse file
  uint64_t max_xattr_bytes = 64 << 10;          // of one value, and of all names and values of one entry
};

struct UnpackResult {
  uint64_t entries = 0;
  uint64_t bytes = 0;           // of file contents
  uint64_t ignored_xattrs = 0;  // not taken over: trusted.*, system.*, and what the file system can't hold
};

// The next bytes of the archive; empty at its end. The view is valid until the next call.
using TarSource = std::function<absl::StatusOr<absl::string_view>()>;

// Unpacks into `dir_fd` (a readable directory that nobody else writes to). kInvalidArgument for a damaged or hostile
// archive, ENOSPC as kResourceExhausted; the error names the entry. After an error the directory holds a part of the
// tree. Reads `source` to the archive's end mark, not necessarily to the end of the stream. Not synced.
absl::StatusOr<UnpackResult> UnpackTar(int dir_fd, WhiteoutStyle whiteouts, const UnpackLimits& limits,
                                       const TarSource& source);

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_UNPACK_H_
