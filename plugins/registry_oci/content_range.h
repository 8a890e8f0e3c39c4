// A part of a blob out of whatever a server sends when it is asked for one (RFC 9110 section 14).
#ifndef BERTH_PLUGINS_REGISTRY_OCI_CONTENT_RANGE_H_
#define BERTH_PLUGINS_REGISTRY_OCI_CONTENT_RANGE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "berth/sdk/image_registry.h"
#include "berth/sdk/status.h"
#include "plugins/registry_oci/http_client.h"

namespace berth::registry_oci {

struct ByteRange {
  uint64_t offset = 0, length = 0;

  // "bytes=10-19"; length is not 0.
  std::string RequestField() const;
};

// Digits only, nothing else.
std::optional<uint64_t> ParseUint(std::string_view text);

// Where the body of an answer begins: the first number of Content-Range in a 206, 0 for the whole content. Nothing for
// a 206 that does not say.
std::optional<uint64_t> BodyOffset(const HttpResponse& response);

// Hands on exactly the range, also when the server ignores what it was asked for and sends everything.
class RangeCutter {
 public:
  RangeCutter(const ByteRange& range, const sdk::ImageRegistry::Sink& sink) : range_(range), sink_(sink) {}

  sdk::Status Begin(const HttpResponse& head);
  sdk::Status Take(std::string_view data);
  // kUnavailable when bytes are missing.
  sdk::Status End() const;

  uint64_t delivered() const { return delivered_; }
  bool done() const { return delivered_ == range_.length; }
  bool refused() const { return refused_; }  // the sink

 private:
  const ByteRange range_;
  const sdk::ImageRegistry::Sink& sink_;
  uint64_t skip_ = 0, delivered_ = 0;
  bool refused_ = false;
};

}  // namespace berth::registry_oci

#endif  // BERTH_PLUGINS_REGISTRY_OCI_CONTENT_RANGE_H_
