// gzip (RFC 1952): members one after the other, each checked against its CRC-32 and size, and padding of zeros.
#ifndef BERTH_CORE_IMAGE_GZIP_DECODER_H_
#define BERTH_CORE_IMAGE_GZIP_DECODER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "core/image/gzip_header.h"
#include "core/image/layer_decoder.h"
#include "core/image/raw_inflate.h"

namespace berth {

class GzipDecoder : public LayerDecoder {
 public:
  explicit GzipDecoder(InflateLibrary library);

  absl::Status Feed(absl::string_view data, const Emit& emit) override;
  absl::Status End() override;

 private:
  enum class State : uint8_t { kHeader, kBody, kTrailer, kBetween, kPadding };

  // Takes from the front of `data`.
  absl::Status Advance(absl::string_view* data, const Emit& emit);
  absl::Status Header(absl::string_view* data);
  absl::Status Body(absl::string_view* data, const Emit& emit);
  absl::Status Trailer(absl::string_view* data);

  const std::unique_ptr<RawInflate> inflate_;
  std::vector<char> output_;
  State state_ = State::kHeader;
  GzipHeader header_;
  uint32_t size_ = 0;     // of this member's output, modulo 2^32
  uint64_t trailer_ = 0;  // as far as it has come
  int trailer_bytes_ = 0;
  bool pending_ = false;  // a full output buffer may hide more output for which no input is left
};

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_GZIP_DECODER_H_
