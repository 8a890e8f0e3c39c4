// The header of a gzip member (RFC 1952, 2.3), of which nothing is kept.
#ifndef BERTH_CORE_IMAGE_GZIP_HEADER_H_
#define BERTH_CORE_IMAGE_GZIP_HEADER_H_

#include <cstdint>

#include "absl/status/statusor.h"

namespace berth {

// Byte by byte, since a header may come in any pieces.
class GzipHeader {
 public:
  // True with the header's last byte. kInvalidArgument for what is no header, has unknown flags or a wrong checksum.
  absl::StatusOr<bool> Take(uint8_t byte);

 private:
  enum class Part : uint8_t { kFixed, kExtraSize, kExtra, kName, kComment, kChecksum, kDone };

  absl::Status TakeFixed(uint8_t byte);
  // To the next part that the flags announce.
  void Advance();

  Part part_ = Part::kFixed;
  uint8_t flags_ = 0;
  uint32_t count_ = 0;  // bytes of this part so far
  uint32_t value_ = 0;  // number that this part is
  uint32_t crc_ = 0;
};

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_GZIP_HEADER_H_
