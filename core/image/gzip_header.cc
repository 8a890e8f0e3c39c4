#include "core/image/gzip_header.h"

#include <zlib.h>

#include "core/base/status.h"

namespace berth {
namespace {

constexpr uint32_t kFixedBytes = 10;
constexpr uint8_t kHasChecksum = 2, kHasExtra = 4, kHasName = 8, kHasComment = 16, kReserved = 0xe0;

}  // namespace

absl::StatusOr<bool> GzipHeader::Take(uint8_t byte) {
  if (part_ != Part::kChecksum) crc_ = crc32(crc_, &byte, 1);
  ++count_;
  switch (part_) {
    case Part::kFixed:
      RETURN_IF_ERROR(TakeFixed(byte));
      if (count_ == kFixedBytes) Advance();
      break;
    case Part::kExtraSize:
      value_ |= uint32_t{byte} << (8 * (count_ - 1));
      if (count_ == 2) Advance();
      break;
    case Part::kExtra:
      if (count_ == value_) Advance();
      break;
    case Part::kName:
    case Part::kComment:
      if (byte == 0) Advance();
      break;
    case Part::kChecksum:
      if (byte != (crc_ >> (8 * (count_ - 1)) & 0xff)) return absl::InvalidArgumentError("header crc mismatch");
      if (count_ == 2) Advance();
      break;
    case Part::kDone:
      break;
  }
  return part_ == Part::kDone;
}

absl::Status GzipHeader::TakeFixed(uint8_t byte) {
  if ((count_ == 1 && byte != 0x1f) || (count_ == 2 && byte != 0x8b)) {
    return absl::InvalidArgumentError("incorrect header check");
  }
  if (count_ == 3 && byte != Z_DEFLATED) return absl::InvalidArgumentError("unknown compression method");
  if (count_ == 4) flags_ = byte;
  if ((flags_ & kReserved) != 0) return absl::InvalidArgumentError("unknown header flags set");
  return absl::OkStatus();
}

void GzipHeader::Advance() {
  const Part from = part_;
  count_ = 0;
  if (from == Part::kExtraSize && value_ > 0) {
    part_ = Part::kExtra;
  } else if (from < Part::kExtraSize && (flags_ & kHasExtra) != 0) {
    part_ = Part::kExtraSize;
  } else if (from < Part::kName && (flags_ & kHasName) != 0) {
    part_ = Part::kName;
  } else if (from < Part::kComment && (flags_ & kHasComment) != 0) {
    part_ = Part::kComment;
  } else if (from < Part::kChecksum && (flags_ & kHasChecksum) != 0) {
    part_ = Part::kChecksum;
  } else {
    part_ = Part::kDone;
  }
}

}  // namespace berth
