#include "core/image/inflate.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace berth {
namespace {

constexpr size_t kOutputBytes = 256 << 10;
constexpr size_t kMagicBytes = 4;

using oci::Compression;
using Emit = std::function<absl::Status(absl::string_view)>;

bool IsZero(absl::string_view data) {
  return std::all_of(data.begin(), data.end(), [](char c) { return c == '\0'; });
}

absl::Status TrailingData(absl::string_view format) {
  return absl::InvalidArgumentError(absl::StrCat("data after the end of the ", format, " stream"));
}

// Of a frame, or of a skippable one (0x184D2A50 to 0x184D2A5F, little endian), which may also come first.
bool IsZstdMagic(absl::string_view magic) {
  return absl::StartsWith(magic, "\x28\xb5\x2f\xfd") ||
         (magic.size() >= 4 && (magic[0] & 0xf0) == 0x50 && magic.substr(1, 3) == "\x2a\x4d\x18");
}

// One format's decoder. Feed consumes all it gets.
class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual absl::Status Feed(absl::string_view data, const Emit& emit) = 0;
  virtual absl::Status End() = 0;
};

class PlainDecoder : public Decoder {
 public:
  absl::Status Feed(absl::string_view data, const Emit& emit) override { return emit(data); }
  absl::Status End() override { return absl::OkStatus(); }
};

class GzipDecoder : public Decoder {
 public:
  GzipDecoder() : output_(kOutputBytes) { ready_ = inflateInit2(&stream_, 16 + MAX_WBITS) == Z_OK; }
  ~GzipDecoder() override {
    if (ready_) inflateEnd(&stream_);
  }

  absl::Status Feed(absl::string_view data, const Emit& emit) override {
    if (!ready_) return absl::ResourceExhaustedError("no memory for inflate");
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
    stream_.avail_in = data.size();
    while (stream_.avail_in > 0 || pending_) {
      if (between_ && !pending_) {
        const absl::string_view rest(reinterpret_cast<char*>(stream_.next_in), stream_.avail_in);
        if (padding_ || rest[0] == '\0') {
          padding_ = true;
          return IsZero(rest) ? absl::OkStatus() : TrailingData("gzip");
        }
        inflateReset(&stream_);
        between_ = false;
      }
      RETURN_IF_ERROR(Step(emit));
    }
    return absl::OkStatus();
  }

  absl::Status End() override {
    return between_ ? absl::OkStatus() : absl::InvalidArgumentError("the gzip stream is truncated");
  }

 private:
  absl::Status Step(const Emit& emit) {
    stream_.next_out = output_.data();
    stream_.avail_out = output_.size();
    const int result = inflate(&stream_, Z_NO_FLUSH);
    // A full output buffer may hide more output for which no input is left.
    pending_ = stream_.avail_out == 0 && result == Z_OK;
    if (result == Z_STREAM_END) {
      between_ = true;
    } else if (result == Z_MEM_ERROR) {
      return absl::ResourceExhaustedError("no memory for inflate");
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      return absl::InvalidArgumentError(
          absl::StrCat("the gzip stream is damaged: ", stream_.msg ? stream_.msg : "needs a dictionary"));
    }
    return emit({reinterpret_cast<char*>(output_.data()), output_.size() - stream_.avail_out});
  }

  z_stream stream_{};
  std::vector<Bytef> output_;
  bool ready_ = false;
  bool between_ = false;  // after a member's end
  bool padding_ = false;  // zeros after the last member
  bool pending_ = false;
};

class ZstdDecoder : public Decoder {
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
        return IsZero(data) ? absl::OkStatus() : TrailingData("zstd");
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
       Digest::Algorithm diff_id)
      : expected_(expected), limits_(limits), sink_(std::move(sink)), compressed_(digest), inflated_(diff_id) {}

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
    if (found == Compression::kGzip) decoder_ = std::make_unique<GzipDecoder>();
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
  const Emit emit_ = [this](absl::string_view data) { return TakeInflated(data); };
  DigestHasher compressed_, inflated_;
  std::string magic_;
  std::unique_ptr<Decoder> decoder_;
  InflateResult result_;
  absl::Status failure_;
};

Inflater::Inflater(Compression expected, const InflateLimits& limits, Sink sink, Digest::Algorithm digest,
                   Digest::Algorithm diff_id)
    : impl_(std::make_unique<Impl>(expected, limits, std::move(sink), digest, diff_id)) {}
Inflater::~Inflater() = default;

absl::Status Inflater::Write(absl::string_view data) { return impl_->Write(data); }
absl::StatusOr<InflateResult> Inflater::Finish() { return impl_->Finish(); }

}  // namespace berth
