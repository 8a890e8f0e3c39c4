// Any bytes as a tar archive: the index is made or refused, and what it says lies inside the file.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "plugins/registry_layout/tar_index.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const int fd = memfd_create("tar", MFD_CLOEXEC);
  if (fd < 0 || write(fd, data, size) != static_cast<ssize_t>(size)) abort();
  const auto index = berth::registry_layout::TarIndex::Read(fd, size);
  if (index.ok()) {
    for (const char* name : {"a", "manifest.json", "index.json", "d/link", "loop1"}) {
      const auto extent = index->Find(name);
      if (extent.ok() && (extent->offset > size || extent->size > size - extent->offset)) abort();
    }
  }
  close(fd);
  return 0;
}
