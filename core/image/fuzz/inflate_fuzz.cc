// Any bytes as a layer's stream: refused or inflated within the limits, however they are cut into pieces.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/image/inflate.h"

namespace {

constexpr uint64_t kMaxBytes = 1 << 20;

absl::StatusOr<berth::InflateResult> Inflate(absl::string_view data, size_t piece) {
  berth::InflateLimits limits;
  limits.max_bytes = kMaxBytes;
  limits.max_zstd_window_log = 20;
  uint64_t total = 0;
  berth::Inflater inflater(berth::oci::Compression::kGzip, limits, [&total](absl::string_view out) {
    total += out.size();
    if (total > kMaxBytes) abort();
    return absl::OkStatus();
  });
  while (!data.empty()) {
    if (absl::Status status = inflater.Write(data.substr(0, piece)); !status.ok()) return status;
    data.remove_prefix(std::min(piece, data.size()));
  }
  return inflater.Finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view stream(reinterpret_cast<const char*>(data), size);
  const auto whole = Inflate(stream, size + 1);
  const auto pieces = Inflate(stream, 7);
  if (whole.ok() != pieces.ok()) abort();
  if (whole.ok() && (whole->diff_id != pieces->diff_id || whole->size != size)) abort();
  return 0;
}
