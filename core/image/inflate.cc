#include "core/image/inflate.h"

#include <zstd.h>

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/image/gzip_decoder.h"

namespace berth {
namespace {

constexpr size_t kOutputBytes = 256 << 10;
constexpr size_t kMagicBytes = 4;

using oci::Compression;
using Emit = LayerDecoder::Emit;

bool IsZero(absl::string_view data) {
  return std::all_of(data.begin(), data.end(), [](char c) { return c == '\0'; });
}

// Of a frame, or of a skippable one (0x184D2A50 to 0x184D2A5F, little endian), which may also come first.
bool IsZstdMagic(absl::string_view magic) {
  return absl::StartsWith(magic, "\x28\xb5\x2f\xfd") ||
         (magic.size() >= 4 && (magic[0] & 0xf0) == 0x50 && magic.substr(1, 3) == "\x2a\x4d\x18");
}

class PlainDecoder : public LayerDecoder {
 public:
  absl::Status Feed(absl::string_view data, const Emit& emit) override { return emit(data); }
  absl::Status End() override { return absl::OkStatus(); }
};

class ZstdDecoder : public LayerDecoder {
 public:
  explicit ZstdDecoder(uint32_t max_window_log) : stream_(ZSTD_createDStream()), output_(kOutputBytes) {
    if (stream_ != nullptr) ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, static_cast<int>(max_window_log));
  }
  ~ZstdDecoder() override { ZSTD_freeDStream(stream_); }

  absl::Status Feed(absl::string_view data, const Emit& emit) override {
    if (stream_ == nullptr) return absl::ResourceExhaustedError("no memory for zstd");
    while (!data.empty()) {
      if (in_frame_) {
        RETURN_IF_ERROR(Decode(&data, emit));
        continue;
      }
      if (some_frame_ && magic_.empty() && (padding_ || data[0] == '\0')) {
        padding_ = true;
        return IsZero(data) ? absl::OkStatus() : absl::InvalidArgumentError("data after the end of the zstd stream");
      }
      // libzstd also takes the formats of before 0.8, with decoders that nobody looks after.
      const size_t missing = std::min(kMagicBytes - magic_.size(), data.size());
      magic_.append(data.data(), missing);
      data.remove_prefix(missing);
      if (magic_.size() < kMagicBytes) return absl::OkStatus();
      if (!IsZstdMagic(magic_)) return absl::InvalidArgumentError("the zstd stream is damaged: no frame begins there");
      in_frame_ = some_frame_ = true;
      absl::string_view magic = magic_;
      RETURN_IF_ERROR(Decode(&magic, emit));
      magic_.clear();
    }
    return absl::OkStatus();
  }

  absl::Status End() override {
    return !in_frame_ && magic_.empty() ? absl::OkStatus() : absl::InvalidArgumentError("the zstd stream is truncated");
  }

 private:
  // Until the input or the frame is at its end.
  absl::Status Decode(absl::string_view* data, const Emit& emit) {
    ZSTD_inBuffer in{data->data(), data->size(), 0};
    for (bool pending = false; in_frame_ && (in.pos < in.size || pending);) {
      ZSTD_outBuffer out{output_.data(), output_.size(), 0};
      const size_t result = ZSTD_decompressStream(stream_, &out, &in);
      if (ZSTD_isError(result)) {
        return absl::InvalidArgumentError(absl::StrCat("the zstd stream is damaged: ", ZSTD_getErrorName(result)));
      }
      in_frame_ = result != 0;
      pending = out.pos == out.size && in_frame_;
      RETURN_IF_ERROR(emit({output_.data(), out.pos}));
    }
    data->remove_prefix(in.pos);
    return absl::OkStatus();
  }

  ZSTD_DStream* const stream_;
  std::vector<char> output_;
  std::string magic_;        // what has come of the next frame's
  bool in_frame_ = false;    // behind a magic number
  bool some_frame_ = false;  // there was one
  bool padding_ = false;     // zeros after the last frame
};

Compression Sniff(absl::string_view magic) {
  if (absl::StartsWith(magic, "\x1f\x8b")) return Compression::kGzip;
  if (IsZstdMagic(magic)) return Compression::kZstd;
  return Compression::kNone;
}

absl::string_view NameOf(Compression compression) {
  return compression == Compression::kGzip ? "gzip" : compression == Compression::kZstd ? "zstd" : "plain tar";
}

}  // namespace

class Inflater::Impl {
 public:
  Impl(Compression expected, const InflateLimits& limits, Sink sink, Digest::Algorithm digest,
       Digest::Algorithm diff_id, InflateLibrary library)
      : expected_(expected),
        limits_(limits),
        sink_(std::move(sink)),
        library_(library),
        compressed_(digest),
        inflated_(diff_id) {}

  absl::Status Write(absl::string_view data) {
    if (failure_.ok()) failure_ = DoWrite(data);
    return failure_;
  }

  absl::StatusOr<InflateResult> Finish() {
    RETURN_IF_ERROR(failure_);
    if (decoder_ == nullptr) RETURN_IF_ERROR(Begin());
    RETURN_IF_ERROR(decoder_->End());
    result_.digest = compressed_.Finish();
    result_.diff_id = inflated_.Finish();
    return result_;
  }

 private:
  absl::Status DoWrite(absl::string_view data) {
    compressed_.Update(data);
    result_.size += data.size();
    if (decoder_ != nullptr) return decoder_->Feed(data, emit_);
    magic_.append(data.data(), data.size());
    return magic_.size() < kMagicBytes ? absl::OkStatus() : Begin();
  }

  // Chooses the decoder and gives it what was held back for that.
  absl::Status Begin() {
    Compression found = Sniff(magic_);
    if (found == Compression::kNone && expected_ != Compression::kNone && !LooksLikeTar())
      return absl::InvalidArgumentError(absl::StrCat("the layer is neither ", NameOf(expected_), " nor a tar archive"));
    if (found == Compression::kGzip) decoder_ = std::make_unique<GzipDecoder>(library_);
    if (found == Compression::kZstd) decoder_ = std::make_unique<ZstdDecoder>(limits_.max_zstd_window_log);
    if (found == Compression::kNone) decoder_ = std::make_unique<PlainDecoder>();
    const std::string held = std::move(magic_);
    magic_.clear();
    return held.empty() ? absl::OkStatus() : decoder_->Feed(held, emit_);
  }

  // A tar archive begins with a name, or is a block of zeros; other bytes can't become one by being passed on.
  bool LooksLikeTar() const {
    return magic_.empty() || magic_[0] == '\0' || static_cast<unsigned char>(magic_[0]) >= ' ';
  }

  absl::Status TakeInflated(absl::string_view data) {
    if (data.empty()) return absl::OkStatus();
    if (data.size() > limits_.max_bytes - result_.inflated_size)
      return absl::ResourceExhaustedError(
          absl::StrCat("the layer inflates to more than ", limits_.max_bytes, " bytes"));
    result_.inflated_size += data.size();
    if (result_.inflated_size > limits_.ratio_from && result_.inflated_size / limits_.max_ratio > result_.size)
      return absl::ResourceExhaustedError(absl::StrCat("the layer inflates by more than ", limits_.max_ratio,
                                                       " times: ", result_.size, " bytes to ", result_.inflated_size,
                                                       " so far"));
    inflated_.Update(data);
    return sink_(data);
  }

  const Compression expected_;
  const InflateLimits limits_;
  const Sink sink_;
  const InflateLibrary library_;
  const Emit emit_ = [this](absl::string_view data) { return TakeInflated(data); };
  DigestHasher compressed_, inflated_;
  std::string magic_;
  std::unique_ptr<LayerDecoder> decoder_;
  InflateResult result_;
  absl::Status failure_;
};

Inflater::Inflater(Compression expected, const InflateLimits& limits, Sink sink, Digest::Algorithm digest,
                   Digest::Algorithm diff_id, InflateLibrary library)
    : impl_(std::make_unique<Impl>(expected, limits, std::move(sink), digest, diff_id, library)) {}
Inflater::~Inflater() = default;

absl::Status Inflater::Write(absl::string_view data) { return impl_->Write(data); }
absl::StatusOr<InflateResult> Inflater::Finish() { return impl_->Finish(); }

}  // namespace berth
