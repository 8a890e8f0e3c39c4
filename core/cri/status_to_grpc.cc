#include "core/cri/status_to_grpc.h"

namespace berth {
namespace {

constexpr size_t kMostEncodedBytes = 7000;
constexpr absl::string_view kCut = "...";
constexpr absl::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// The length of the UTF-8 sequence at the start of `text`, or 0 when there is none (RFC 3629: no overlong forms, no
// surrogates, nothing above U+10FFFF).
size_t SequenceLength(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80, high = first == 0xED ? 0x9F : 0xBF;
    return continues(1, low, high) && continues(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80, high = first == 0xF4 ? 0x8F : 0xBF;
    return continues(1, low, high) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::string MessageForClients(absl::string_view message) {
  std::string out;
  size_t encoded = 0;
  while (!message.empty()) {
    size_t length = SequenceLength(message);
    absl::string_view piece = length == 0 ? kReplacement : message.substr(0, length);
    if (length == 0) length = 1;
    if (length == 1 && piece.size() == 1 && (piece[0] < ' ' || piece[0] == 0x7F)) piece = " ";
    // gRPC over HTTP/2, "Status-Message": printable ASCII but % stands for itself, all else takes three bytes a byte.
    encoded += piece.size() == 1 && piece[0] != '%' ? 1 : 3 * piece.size();
    if (encoded > kMostEncodedBytes - kCut.size()) return out.append(kCut.data(), kCut.size());
    out.append(piece.data(), piece.size());
    message.remove_prefix(length);
  }
  return out;
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), MessageForClients(status.message()));
}

}  // namespace berth
