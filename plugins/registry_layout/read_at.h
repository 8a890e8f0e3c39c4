// pread(2) that reads all it was asked for.
#ifndef BERTH_PLUGINS_REGISTRY_LAYOUT_READ_AT_H_
#define BERTH_PLUGINS_REGISTRY_LAYOUT_READ_AT_H_

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>

#include "berth/sdk/status.h"

namespace berth::registry_layout {

// kDataLoss when the file ends before.
inline sdk::Status ReadAt(int fd, uint64_t offset, char* into, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t n = pread(fd, into + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    const std::string where = "read at byte " + std::to_string(offset + done);
    if (n < 0) return sdk::ErrnoStatus(where);
    if (n == 0) return sdk::DataLoss(where + ": the file ends there");
    done += static_cast<size_t>(n);
  }
  return {};
}

}  // namespace berth::registry_layout

#endif  // BERTH_PLUGINS_REGISTRY_LAYOUT_READ_AT_H_
