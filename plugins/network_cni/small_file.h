// Whole small files.
#ifndef BERTH_PLUGINS_NETWORK_CNI_SMALL_FILE_H_
#define BERTH_PLUGINS_NETWORK_CNI_SMALL_FILE_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "berth/sdk/status.h"

namespace berth::network_cni {

// A regular file of at most `max_size` bytes; never blocks on anything else. Errors name the path.
sdk::Result<std::string> ReadSmallFile(const std::string& path, size_t max_size);

// Replaces the file, mode 0600: after a crash of the process it has either the old contents or the new ones, and what
// was being written may be left under the name TemporaryOf. Not synced.
sdk::Status WriteSmallFile(const std::string& path, std::string_view contents);

// Adds to a file that exists, or fails with ENOENT. After a crash, or an error, a part of `contents` may be there.
sdk::Status AppendToFile(const std::string& path, std::string_view contents);

std::string TemporaryOf(const std::string& path);

// Creates a directory and those above it, mode 0700. OK when it is there.
sdk::Status MakeDirectories(const std::string& path);

}  // namespace berth::network_cni

#endif  // BERTH_PLUGINS_NETWORK_CNI_SMALL_FILE_H_
