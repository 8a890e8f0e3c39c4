// Inflating raw deflate data (RFC 1951): one interface, and the libraries behind it.
#ifndef BERTH_CORE_IMAGE_RAW_INFLATE_H_
#define BERTH_CORE_IMAGE_RAW_INFLATE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace berth {

// One deflate stream after the other; one thread.
class RawInflate {
 public:
  struct Step {
    size_t consumed = 0, produced = 0;
    bool end = false;  // of the deflate stream
    // At the end: bytes behind it that a library had taken, from this input or an earlier one.
    std::string behind;
  };

  virtual ~RawInflate() = default;
  // The next bytes begin a new stream.
  virtual void Reset() = 0;
  // Goes on until the input is used up, `out` is full (more output may follow then, without input) or the stream ends.
  // kInvalidArgument for data that is no deflate stream, kResourceExhausted without memory.
  virtual absl::StatusOr<Step> Run(absl::string_view in, char* out, size_t size) = 0;
  // CRC-32 of what this stream has produced.
  virtual uint32_t Crc() const = 0;
};

enum class InflateLibrary : uint8_t { kZlib, kIsal };

// ISA-L is several times as fast and comes as a shared object only, which need not be there: it is loaded at the first
// call, then never again. Call it before a confinement that keeps libraries from being loaded; zlib is part of the
// program.
InflateLibrary FastestInflateLibrary();

// kIsal: only where FastestInflateLibrary returned it. The two take and refuse the same streams, with one exception: a
// Huffman code that leaves bit patterns unused is an error to zlib and none to ISA-L.
std::unique_ptr<RawInflate> NewRawInflate(InflateLibrary library);

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_RAW_INFLATE_H_
