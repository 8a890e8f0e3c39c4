// Any bytes as a layer's stream: refused or inflated within the limits, however they are cut into pieces.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/match.h"
#include "core/image/inflate.h"

namespace {

constexpr uint64_t kMaxBytes = 1 << 20;

absl::StatusOr<berth::InflateResult> Inflate(absl::string_view data, size_t piece, berth::InflateLibrary library) {
  berth::InflateLimits limits;
  limits.max_bytes = kMaxBytes;
  limits.max_zstd_window_log = 20;
  uint64_t total = 0;
  const auto sink = [&total](absl::string_view out) {
    total += out.size();
    if (total > kMaxBytes) abort();
    return absl::OkStatus();
  };
  constexpr auto kSha256 = berth::Digest::Algorithm::kSha256;
  berth::Inflater inflater(berth::oci::Compression::kGzip, limits, sink, kSha256, kSha256, library);
  while (!data.empty()) {
    if (absl::Status status = inflater.Write(data.substr(0, piece)); !status.ok()) return status;
    data.remove_prefix(std::min(piece, data.size()));
  }
  return inflater.Finish();
}

void ExpectEqual(const absl::StatusOr<berth::InflateResult>& a, const absl::StatusOr<berth::InflateResult>& b) {
  if (a.ok() != b.ok()) abort();
  if (a.ok() && a->diff_id != b->diff_id) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view stream(reinterpret_cast<const char*>(data), size);
  const auto whole = Inflate(stream, size + 1, berth::InflateLibrary::kZlib);
  if (whole.ok() && whole->size != size) abort();
  ExpectEqual(whole, Inflate(stream, 7, berth::InflateLibrary::kZlib));
  if (berth::FastestInflateLibrary() == berth::InflateLibrary::kZlib) return 0;
  const auto isal = Inflate(stream, size + 1, berth::InflateLibrary::kIsal);
  ExpectEqual(isal, Inflate(stream, 7, berth::InflateLibrary::kIsal));
  // What zlib takes, ISA-L takes, and makes the same of it. It also takes incomplete Huffman codes.
  const absl::string_view reason = whole.status().message();
  if (absl::StrContains(reason, "lengths set") || absl::StrContains(reason, "distances set")) return 0;
  ExpectEqual(whole, isal);
  return 0;
}
