#include "plugins/registry_oci/content_range.h"

#include <algorithm>

#include "plugins/registry_oci/text.h"

namespace berth::registry_oci {

std::string ByteRange::RequestField() const {
  return "bytes=" + std::to_string(offset) + "-" + std::to_string(offset + length - 1);
}

std::optional<uint64_t> ParseUint(std::string_view text) {
  if (text.empty() || text.size() > 19) return std::nullopt;  // 19 digits always fit
  uint64_t out = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    out = out * 10 + static_cast<uint64_t>(c - '0');
  }
  return out;
}

std::optional<uint64_t> BodyOffset(const HttpResponse& response) {
  if (response.status != 206) return 0;
  const std::string field = Lowered(response.Header("content-range"));
  if (!field.starts_with("bytes ")) return std::nullopt;
  const std::string_view range = Trimmed(std::string_view(field).substr(6));
  return ParseUint(range.substr(0, range.find('-')));
}

sdk::Status RangeCutter::Begin(const HttpResponse& head) {
  const std::optional<uint64_t> begin = BodyOffset(head);
  if (!begin || *begin > range_.offset) {
    return sdk::FailedPrecondition("asked for bytes from " + std::to_string(range_.offset) +
                                   ", the registry answers with others: \"" + Printable(head.Header("content-range")) +
                                   "\"");
  }
  skip_ = range_.offset - *begin;
  return {};
}

sdk::Status RangeCutter::Take(std::string_view data) {
  const uint64_t skipped = std::min<uint64_t>(skip_, data.size());
  skip_ -= skipped;
  data.remove_prefix(skipped);
  const uint64_t wanted = std::min<uint64_t>(data.size(), range_.length - delivered_);
  if (wanted > 0) {
    const sdk::Status taken = sink_(data.substr(0, wanted));
    refused_ = !taken.ok();
    BERTH_RETURN_IF_ERROR(taken);
    delivered_ += wanted;
  }
  // More than was announced, or than was asked for: the rest is not waited for.
  if (wanted < data.size()) return sdk::OutOfRange("the registry sends more than was asked for");
  return {};
}

sdk::Status RangeCutter::End() const {
  if (done()) return {};
  return sdk::Unavailable("the registry sent " + std::to_string(delivered_) + " of " + std::to_string(range_.length) +
                          " bytes");
}

}  // namespace berth::registry_oci
