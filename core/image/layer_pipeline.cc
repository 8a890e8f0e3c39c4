#include "core/image/layer_pipeline.h"

#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/image/byte_pipe.h"
#include "core/image/inflate.h"

namespace berth {
namespace {

constexpr uint64_t kMaxDocument = 4 << 20;
constexpr size_t kPipeBytes = 1 << 20;
constexpr int kMaxAttempts = 4;
// So much is worth new attempts: a registry that breaks after each byte is given up.
constexpr uint64_t kProgress = 1 << 20;

// Refuses more than was announced, whatever the registry sends.
ImageRegistry::Sink Bounded(uint64_t size, uint64_t* received, ImageRegistry::Sink sink) {
  return [size, received, sink = std::move(sink)](absl::string_view data) -> absl::Status {
    if (data.size() > size - *received)
      return absl::InvalidArgumentError(absl::StrCat("the registry sends more than the ", size, " bytes announced"));
    RETURN_IF_ERROR(sink(data));
    *received += data.size();
    return absl::OkStatus();
  };
}

absl::Status FetchWithRetries(const ContentDescriptor& what, const BlobFetcher& fetch,
                              const ImageRegistry::Sink& sink) {
  if (!what.data.empty()) return sink(what.data);
  uint64_t received = 0;
  for (int attempt = 1;; ++attempt) {
    const uint64_t before = received;
    absl::Status status = fetch(what, received, Bounded(what.size, &received, sink));
    if (status.ok() || !absl::IsUnavailable(status) || attempt == kMaxAttempts) return status;
    if (received - before >= kProgress) attempt = 1;
    std::this_thread::sleep_for(std::chrono::milliseconds(100 << (2 * attempt)));
  }
}

absl::Status CheckSize(uint64_t expected, uint64_t actual) {
  if (expected == actual) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("it has ", actual, " bytes, not the ", expected, " announced"));
}

absl::Status CheckDigest(const char* what, const Digest& expected, const Digest& actual) {
  if (expected == actual) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("its ", what, " is ", actual.ToString(), ", not ", expected.ToString()));
}

absl::Status Download(const LayerRequest& request, const BlobFetcher& fetch, BytePipe* pipe,
                      std::atomic<uint64_t>* progress) {
  ASSIGN_OR_RETURN(const oci::Compression compression, oci::LayerCompression(request.blob.media_type));
  InflateLimits limits;
  limits.max_bytes = request.max_bytes;
  Inflater inflater(
      compression, limits, [pipe](absl::string_view data) { return pipe->Write(data); },
      request.blob.digest.algorithm(), request.diff_id.algorithm());
  RETURN_IF_ERROR(FetchWithRetries(ToContent(request.blob), fetch, [&](absl::string_view data) {
    progress->fetch_add(data.size(), std::memory_order_relaxed);
    return inflater.Write(data);
  }));
  ASSIGN_OR_RETURN(const InflateResult result, inflater.Finish());
  RETURN_IF_ERROR(CheckSize(request.blob.size, result.size));
  RETURN_IF_ERROR(CheckDigest("digest", request.blob.digest, result.digest));
  return CheckDigest("inflated digest (diff_id)", request.diff_id, result.diff_id);
}

}  // namespace

ContentDescriptor ToContent(const oci::Descriptor& descriptor) {
  ContentDescriptor content;
  content.media_type = descriptor.media_type;
  content.digest = descriptor.digest.ToString();
  content.size = descriptor.size;
  content.data = descriptor.data;
  return content;
}

absl::StatusOr<std::string> FetchDocument(const ContentDescriptor& what, const BlobFetcher& fetch) {
  Digest expected;
  if (!what.digest.empty()) {
    ASSIGN_OR_RETURN(expected, Digest::Parse(what.digest));
  } else if (what.data.empty()) {
    return absl::InvalidArgumentError("the registry names no digest");
  }
  if (what.size > kMaxDocument || what.data.size() > kMaxDocument)
    return absl::InvalidArgumentError(absl::StrCat("it is larger than ", kMaxDocument, " bytes"));
  std::string content;
  RETURN_IF_ERROR(FetchWithRetries(what, fetch, [&](absl::string_view data) {
    content.append(data.data(), data.size());
    return absl::OkStatus();
  }));
  if (expected.empty()) return content;
  RETURN_IF_ERROR(CheckSize(what.size, content.size()));
  DigestHasher hasher(expected.algorithm());
  hasher.Update(content);
  RETURN_IF_ERROR(CheckDigest("digest", expected, hasher.Finish()));
  return content;
}

absl::StatusOr<UnpackResult> PullLayer(const LayerRequest& request, const BlobFetcher& fetch,
                                       std::atomic<uint64_t>* progress) {
  BytePipe pipe(kPipeBytes);
  absl::StatusOr<UnpackResult> unpacked = UnpackResult{};
  std::thread unpacker([&] {
    UnpackLimits limits;
    limits.max_bytes = request.max_bytes;
    unpacked = UnpackTar(request.dir_fd, request.whiteouts, limits, [&] { return pipe.Read(); });
    pipe.CloseReader(unpacked.status());
  });
  const absl::Status downloaded = Download(request, fetch, &pipe, progress);
  pipe.CloseWriter(downloaded);
  unpacker.join();
  RETURN_IF_ERROR(downloaded);
  return unpacked;
}

}  // namespace berth
