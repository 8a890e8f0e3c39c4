// A layer's bytes as they come from a registry, to the tar archive within: hashed on both sides, bounded, never
// trusted.
#ifndef BERTH_CORE_IMAGE_INFLATE_H_
#define BERTH_CORE_IMAGE_INFLATE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/image/raw_inflate.h"
#include "core/oci/digest.h"
#include "core/oci/image_spec.h"

namespace berth {

struct InflateLimits {
  uint64_t max_bytes = uint64_t{64} << 30;  // of inflated data
  // Inflated to compressed size, looked at beyond `ratio_from` bytes of output: deflate can't do better than 1032, so
  // only a zstd bomb reaches this.
  uint64_t max_ratio = 2000;
  uint64_t ratio_from = uint64_t{256} << 20;
  uint32_t max_zstd_window_log = 27;  // 128 MiB, what the zstd program accepts by default
};

struct InflateResult {
  Digest digest;      // of all bytes written
  uint64_t size = 0;  // their number
  Digest diff_id;     // of all inflated bytes
  uint64_t inflated_size = 0;
};

// One layer; one thread. Push bytes with Write, then call Finish once.
class Inflater {
 public:
  // Takes the next inflated bytes; an error ends the stream with that error.
  using Sink = std::function<absl::Status(absl::string_view)>;

  // The magic at the beginning decides; where it contradicts `expected` (registries do serve plain tar as gzip and the
  // other way round) it wins, since the digests are what is verified.
  Inflater(oci::Compression expected, const InflateLimits& limits, Sink sink,
           Digest::Algorithm digest = Digest::Algorithm::kSha256,
           Digest::Algorithm diff_id = Digest::Algorithm::kSha256, InflateLibrary library = FastestInflateLibrary());
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // kInvalidArgument for data that is not of its format, kResourceExhausted beyond a limit.
  absl::Status Write(absl::string_view data);
  // kInvalidArgument when the stream ended too early. Several gzip members or zstd frames may follow each other; bytes
  // after them that are neither are an error unless all of them are zero (padding).
  absl::StatusOr<InflateResult> Finish();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_INFLATE_H_
