#include "core/image/raw_inflate.h"

#include <dlfcn.h>
#include <isa-l/igzip_lib.h>
#include <zlib.h>

#include "absl/strings/str_cat.h"

namespace berth {
namespace {

class ZlibInflate : public RawInflate {
 public:
  ZlibInflate() { ready_ = inflateInit2(&stream_, -MAX_WBITS) == Z_OK; }
  ~ZlibInflate() override {
    if (ready_) inflateEnd(&stream_);
  }

  void Reset() override {
    if (ready_) inflateReset(&stream_);
    crc_ = 0;
  }

  absl::StatusOr<Step> Run(absl::string_view in, char* out, size_t size) override {
    if (!ready_) return absl::ResourceExhaustedError("no memory for inflate");
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream_.avail_in = in.size();
    stream_.next_out = reinterpret_cast<Bytef*>(out);
    stream_.avail_out = size;
    const int result = inflate(&stream_, Z_NO_FLUSH);
    if (result == Z_MEM_ERROR) return absl::ResourceExhaustedError("no memory for inflate");
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
      return absl::InvalidArgumentError(stream_.msg != nullptr ? stream_.msg : "not a deflate stream");
    }
    Step step;
    step.consumed = in.size() - stream_.avail_in;
    step.produced = size - stream_.avail_out;
    step.end = result == Z_STREAM_END;
    crc_ = crc32_z(crc_, reinterpret_cast<Bytef*>(out), step.produced);
    return step;
  }

  uint32_t Crc() const override { return crc_; }

 private:
  z_stream stream_{};
  bool ready_ = false;
  uint32_t crc_ = 0;
};

struct IsalFunctions {
  decltype(&isal_inflate_init) init = nullptr;
  decltype(&isal_inflate) inflate = nullptr;
};

// The name has the version of the interface that igzip_lib.h describes.
const IsalFunctions& Isal() {
  static const IsalFunctions functions = [] {
    IsalFunctions found;
    void* library = dlopen("libisal.so.2", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return found;
    found.init = reinterpret_cast<decltype(found.init)>(dlsym(library, "isal_inflate_init"));
    found.inflate = reinterpret_cast<decltype(found.inflate)>(dlsym(library, "isal_inflate"));
    return found.init != nullptr && found.inflate != nullptr ? found : IsalFunctions();
  }();
  return functions;
}

absl::string_view IsalReason(int result) {
  switch (result) {
    case ISAL_INVALID_BLOCK:
      return "invalid block";
    case ISAL_INVALID_SYMBOL:
      return "invalid code";
    case ISAL_INVALID_LOOKBACK:
      return "invalid distance too far back";
    default:
      return "not a deflate stream";
  }
}

class IsalInflate : public RawInflate {
 public:
  IsalInflate() : state_(std::make_unique<inflate_state>()) { Reset(); }

  void Reset() override {
    Isal().init(state_.get());
    state_->crc_flag = ISAL_GZIP_NO_HDR;  // the CRC is computed, what comes behind is not looked at
  }

  absl::StatusOr<Step> Run(absl::string_view in, char* out, size_t size) override {
    inflate_state& state = *state_;
    state.next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(in.data()));
    state.avail_in = in.size();
    state.next_out = reinterpret_cast<uint8_t*>(out);
    state.avail_out = size;
    const int result = Isal().inflate(&state);
    if (result != ISAL_DECOMP_OK) return absl::InvalidArgumentError(IsalReason(result));
    Step step;
    step.consumed = in.size() - state.avail_in;
    step.produced = size - state.avail_out;
    step.end = state.block_state == ISAL_BLOCK_FINISH;
    if (step.end) step.behind = TakenBehindTheEnd();
    return step;
  }

  uint32_t Crc() const override { return state_->crc; }

 private:
  // It reads eight bytes ahead; the rest of a begun byte is not part of anything.
  std::string TakenBehindTheEnd() {
    std::string bytes;
    uint64_t bits = state_->read_in >> (state_->read_in_length % 8);
    for (int count = state_->read_in_length / 8; count > 0; --count, bits >>= 8) {
      bytes.push_back(static_cast<char>(bits & 0xff));
    }
    state_->read_in_length = 0;
    return bytes;
  }

  const std::unique_ptr<inflate_state> state_;  // 80 KB
};

}  // namespace

InflateLibrary FastestInflateLibrary() {
  return Isal().inflate != nullptr ? InflateLibrary::kIsal : InflateLibrary::kZlib;
}

std::unique_ptr<RawInflate> NewRawInflate(InflateLibrary library) {
  if (library == InflateLibrary::kIsal) return std::make_unique<IsalInflate>();
  return std::make_unique<ZlibInflate>();
}

}  // namespace berth
