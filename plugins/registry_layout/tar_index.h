// Where each file of a tar archive lies: headers are read once, contents never.
//
// Understands ustar, GNU long names and pax paths and sizes. The archive comes from outside: every size is checked
// against the file, names cannot leave the archive, and the index is bounded.
#ifndef BERTH_PLUGINS_REGISTRY_LAYOUT_TAR_INDEX_H_
#define BERTH_PLUGINS_REGISTRY_LAYOUT_TAR_INDEX_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "berth/sdk/status.h"

namespace berth::registry_layout {

struct TarLimits {
  uint64_t members = 65536;
  uint64_t name = 4096;          // bytes of one name
  uint64_t names = 16 << 20;     // bytes of all names together
  uint64_t extension = 1 << 20;  // bytes of one pax or long-name header
  int links = 16;                // links followed to reach a file
};

class TarIndex {
 public:
  struct Extent {
    uint64_t offset = 0, size = 0;
  };

  // Reads the headers of the archive behind `fd` (borrowed; a regular file of `size` bytes). Errors name the member
  // and its offset: kDataLoss for what is damaged, kInvalidArgument for what is refused, kUnimplemented for compressed
  // and sparse archives, kResourceExhausted beyond the limits.
  static sdk::Result<TarIndex> Read(int fd, uint64_t size, const TarLimits& limits = {});

  // The contents of the regular file `name`, following links inside the archive. kNotFound when there is none.
  sdk::Result<Extent> Find(std::string_view name) const;

  size_t size() const { return members_.size(); }

 private:
  friend class TarReader;
  enum class Kind : uint8_t { kFile, kHardLink, kSymlink, kOther };
  struct Member {
    Kind kind = Kind::kOther;
    Extent extent;
    std::string link;  // kHardLink: a name of the archive; kSymlink: as written
  };

  std::map<std::string, Member, std::less<>> members_;  // by name; of two with one name the later counts, as in tar
  int max_links_ = 0;
};

// "gzip", "zstd", ... when the bytes begin a compressed stream, "" otherwise.
std::string_view CompressionOf(std::string_view first_bytes);

}  // namespace berth::registry_layout

#endif  // BERTH_PLUGINS_REGISTRY_LAYOUT_TAR_INDEX_H_
