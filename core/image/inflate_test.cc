#include "core/image/inflate.h"

#include <zlib.h>
#include <zstd.h>

#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace berth {
namespace {

using oci::Compression;

std::string Gzip(const std::string& data) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, data.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = data.size();
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = out.size();
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string Zstd(const std::string& data, int window_log = 0) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  if (window_log != 0) {
    ZSTD_CCtx_setParameter(context, ZSTD_c_enableLongDistanceMatching, 1);
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  }
  std::string out(ZSTD_compressBound(data.size()), '\0');
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  ZSTD_inBuffer from{data.data(), data.size(), 0};
  EXPECT_FALSE(ZSTD_isError(ZSTD_compressStream2(context, &to, &from, ZSTD_e_continue)));
  EXPECT_EQ(ZSTD_compressStream2(context, &to, &from, ZSTD_e_end), 0u);
  out.resize(to.pos);
  ZSTD_freeCCtx(context);
  return out;
}

std::string Sample(size_t size) {
  std::string data;
  uint32_t state = 1;
  while (data.size() < size) {
    state = state * 1664525 + 1013904223;
    data += static_cast<char>('a' + (state >> 24) % 20);
  }
  return data;
}

struct Outcome {
  absl::StatusOr<InflateResult> result = absl::UnknownError("not run");
  std::string data;
};

// Once for each library that inflates gzip.
class InflateTest : public testing::TestWithParam<InflateLibrary> {
 protected:
  void SetUp() override {
    if (GetParam() == InflateLibrary::kIsal && FastestInflateLibrary() != InflateLibrary::kIsal) {
      GTEST_SKIP() << "libisal2 is not installed";
    }
  }

  static Outcome Inflate(const std::string& stream, size_t step = 1 << 20, InflateLimits limits = {},
                         Compression expected = Compression::kGzip);
  static void ExpectGood(const std::string& stream, const std::string& data, size_t step, Compression expected);
};

INSTANTIATE_TEST_SUITE_P(Libraries, InflateTest, testing::Values(InflateLibrary::kZlib, InflateLibrary::kIsal),
                         [](const auto& info) { return info.param == InflateLibrary::kIsal ? "Isal" : "Zlib"; });

Outcome InflateTest::Inflate(const std::string& stream, size_t step, InflateLimits limits, Compression expected) {
  Outcome outcome;
  Inflater inflater(
      expected, limits,
      [&](absl::string_view data) {
        outcome.data.append(data.data(), data.size());
        return absl::OkStatus();
      },
      Digest::Algorithm::kSha256, Digest::Algorithm::kSha256, GetParam());
  for (size_t at = 0; at < stream.size(); at += step) {
    if (absl::Status status = inflater.Write(absl::string_view(stream).substr(at, step)); !status.ok()) {
      outcome.result = status;
      return outcome;
    }
  }
  outcome.result = inflater.Finish();
  return outcome;
}

void InflateTest::ExpectGood(const std::string& stream, const std::string& data, size_t step, Compression expected) {
  const Outcome outcome = Inflate(stream, step, {}, expected);
  ASSERT_TRUE(outcome.result.ok()) << outcome.result.status() << " step " << step;
  EXPECT_EQ(outcome.data, data);
  EXPECT_EQ(outcome.result->digest, Digest::Of(stream));
  EXPECT_EQ(outcome.result->diff_id, Digest::Of(data));
  EXPECT_EQ(outcome.result->size, stream.size());
  EXPECT_EQ(outcome.result->inflated_size, data.size());
}

TEST_P(InflateTest, EveryFormatInAnyPieces) {
  const std::string data = Sample(700'000);
  for (size_t step : {1ul, 3ul, 4096ul, 1ul << 20}) {
    ExpectGood(Gzip(data), data, step, Compression::kGzip);
    ExpectGood(Zstd(data), data, step, Compression::kZstd);
    ExpectGood(data, data, step, Compression::kNone);
  }
}

TEST_P(InflateTest, TheMagicWinsOverTheMediaType) {
  const std::string data = Sample(1000);
  ExpectGood(Gzip(data), data, 7, Compression::kNone);
  ExpectGood(Zstd(data), data, 7, Compression::kGzip);
  ExpectGood(data, data, 7, Compression::kGzip);
  const Outcome outcome = Inflate("\x01\x02\x03\x04garbage", 100);
  EXPECT_TRUE(absl::IsInvalidArgument(outcome.result.status())) << outcome.result.status();
}

TEST_P(InflateTest, SeveralMembersAndPadding) {
  const std::string a = Sample(300'000), b = Sample(5000);
  for (size_t step : {1ul, 1000ul, 1ul << 20}) {
    ExpectGood(Gzip(a) + Gzip("") + Gzip(b), a + b, step, Compression::kGzip);
    ExpectGood(Gzip(a) + std::string(600, '\0'), a, step, Compression::kGzip);
    ExpectGood(Zstd(a) + Zstd(b), a + b, step, Compression::kZstd);
    ExpectGood(Zstd(a) + std::string(9, '\0'), a, step, Compression::kZstd);
    // A skippable frame of 5 bytes before the data.
    ExpectGood(std::string("\x5e\x2a\x4d\x18\x05\0\0\0hello", 13) + Zstd(a), a, step, Compression::kZstd);
  }
}

TEST_P(InflateTest, DamagedStreamsAreInvalid) {
  const std::string data = Sample(300'000);
  for (const std::string& good : {Gzip(data), Zstd(data)}) {
    for (const std::string& bad : {good.substr(0, good.size() / 2), good.substr(0, good.size() - 1), good.substr(0, 5),
                                   good + "x", good + std::string(3, '\0') + "x", good + good.substr(0, 6)}) {
      for (size_t step : {1ul, 1ul << 20}) {
        const Outcome outcome = Inflate(bad, step);
        EXPECT_TRUE(absl::IsInvalidArgument(outcome.result.status())) << outcome.result.status() << bad.size();
      }
    }
    std::string flipped = good;
    flipped[flipped.size() / 2] ^= 0x55;
    const Outcome outcome = Inflate(flipped);
    // zstd frames have no checksum by default: then the digests tell.
    EXPECT_TRUE(!outcome.result.ok() || outcome.result->diff_id != Digest::Of(data));
  }
}

// A gzip stream with every optional part of a header, and a checksum over it.
std::string WithFullHeader(const std::string& data) {
  std::string header("\x1f\x8b\x08\x1e\1\2\3\4\0\xff", 10);
  header += std::string("\x05\0extra", 7) + std::string("name\0", 5) + std::string("comment\0", 8);
  const uint32_t crc = crc32(0, reinterpret_cast<const Bytef*>(header.data()), header.size());
  header += static_cast<char>(crc & 0xff);
  header += static_cast<char>(crc >> 8 & 0xff);
  return header + Gzip(data).substr(10);
}

TEST_P(InflateTest, GzipHeaders) {
  const std::string data = Sample(1000), good = WithFullHeader(data);
  for (size_t step : {1ul, 7ul, 1ul << 20}) {
    ExpectGood(good, data, step, Compression::kGzip);
    ExpectGood(Gzip("a") + good, "a" + data, step, Compression::kGzip);
    for (size_t at : {0, 1, 2, 3, 12, 20, 30, 31}) {
      std::string bad = good;
      bad[at] ^= 0x40;  // at 3 a reserved flag
      EXPECT_TRUE(absl::IsInvalidArgument(Inflate(Gzip("a") + bad, step).result.status())) << at;
    }
    for (size_t end = 1; end < 40; ++end) {
      EXPECT_TRUE(absl::IsInvalidArgument(Inflate(Gzip("a") + good.substr(0, end), step).result.status())) << end;
    }
  }
}

TEST_P(InflateTest, GzipTrailersAreChecked) {
  const std::string good = Gzip(Sample(100'000));
  for (size_t from_end = 1; from_end <= 8; ++from_end) {
    std::string bad = good;
    bad[bad.size() - from_end] ^= 1;
    for (size_t step : {1ul, 1ul << 20}) {
      const absl::Status status = Inflate(bad, step).result.status();
      EXPECT_TRUE(absl::IsInvalidArgument(status)) << from_end;
      EXPECT_TRUE(absl::StrContains(status.message(), from_end <= 4 ? "length check" : "data check")) << status;
    }
  }
}

TEST_P(InflateTest, OutputsAroundTheBuffersSize) {
  const std::string sample = Sample(513 << 10);
  for (size_t size : {(256ul << 10) - 1, 256ul << 10, (256ul << 10) + 1, 512ul << 10}) {
    // The second one is a few bytes of input, the third copies from as far back as deflate can.
    for (const std::string& data :
         {sample.substr(0, size), std::string(size, 'a'), sample.substr(0, 32768) + sample.substr(0, size - 32768)}) {
      ExpectGood(Gzip(data) + Gzip("end"), data + "end", 1 << 20, Compression::kGzip);
    }
  }
}

TEST_P(InflateTest, StoredBlocks) {
  // Random bytes: deflate stores them as they are.
  std::string data;
  uint64_t state = 1;
  while (data.size() < 400'000) {
    state = state * 6364136223846793005 + 1442695040888963407;
    data += static_cast<char>(state >> 56);
  }
  for (size_t step : {1ul, 4096ul, 1ul << 20}) ExpectGood(Gzip(data), data, step, Compression::kGzip);
}

TEST_P(InflateTest, EmptyStreams) {
  ExpectGood("", "", 1, Compression::kGzip);
  ExpectGood(Gzip(""), "", 1, Compression::kGzip);
  ExpectGood(Zstd(""), "", 1, Compression::kZstd);
  ExpectGood("ab", "ab", 1, Compression::kNone);
}

TEST_P(InflateTest, BombsStopAtTheLimits) {
  const std::string zeros(20 << 20, '\0');
  InflateLimits limits;
  limits.max_bytes = 1 << 20;
  Outcome outcome = Inflate(Gzip(zeros), 512, limits);
  EXPECT_TRUE(absl::IsResourceExhausted(outcome.result.status())) << outcome.result.status();
  EXPECT_LE(outcome.data.size(), limits.max_bytes);
  limits = {};
  limits.ratio_from = 1 << 20;
  outcome = Inflate(Zstd(zeros), 16, limits);
  EXPECT_TRUE(absl::IsResourceExhausted(outcome.result.status())) << outcome.result.status();
  EXPECT_TRUE(absl::StrContains(outcome.result.status().message(), "times"));
}

TEST_P(InflateTest, ZstdWindowsBeyondTheLimitAreRefused) {
  const std::string data = Sample(1 << 20);
  InflateLimits limits;
  EXPECT_TRUE(Inflate(Zstd(data, 27), 1000, limits).result.ok());
  limits.max_zstd_window_log = 23;
  EXPECT_TRUE(absl::IsInvalidArgument(Inflate(Zstd(data, 27), 1000, limits).result.status()));
}

TEST(Inflate, TheSinksErrorEndsTheStream) {
  Inflater inflater(Compression::kNone, {}, [](absl::string_view) { return absl::ResourceExhaustedError("full"); });
  EXPECT_TRUE(absl::IsResourceExhausted(inflater.Write("some bytes")));
  EXPECT_TRUE(absl::IsResourceExhausted(inflater.Write("more")));
  EXPECT_TRUE(absl::IsResourceExhausted(inflater.Finish().status()));
}

}  // namespace
}  // namespace berth
