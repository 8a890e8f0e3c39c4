#include "core/image/gzip_decoder.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace berth {
namespace {

constexpr size_t kOutputBytes = 256 << 10;
constexpr int kTrailerBytes = 8;

absl::Status Damaged(const absl::Status& status) { return Annotate(status, "the gzip stream is damaged"); }

}  // namespace

GzipDecoder::GzipDecoder(InflateLibrary library) : inflate_(NewRawInflate(library)), output_(kOutputBytes) {}

absl::Status GzipDecoder::Feed(absl::string_view data, const Emit& emit) {
  while (!data.empty() || pending_) RETURN_IF_ERROR(Advance(&data, emit));
  return absl::OkStatus();
}

absl::Status GzipDecoder::End() {
  const bool complete = state_ == State::kBetween || state_ == State::kPadding;
  return complete ? absl::OkStatus() : absl::InvalidArgumentError("the gzip stream is truncated");
}

absl::Status GzipDecoder::Advance(absl::string_view* data, const Emit& emit) {
  switch (state_) {
    case State::kHeader:
      return Damaged(Header(data));
    case State::kBody:
      return Body(data, emit);
    case State::kTrailer:
      return Damaged(Trailer(data));
    case State::kBetween:
      state_ = (*data)[0] == '\0' ? State::kPadding : State::kHeader;
      return absl::OkStatus();
    case State::kPadding:
      if (!std::all_of(data->begin(), data->end(), [](char c) { return c == '\0'; })) {
        return absl::InvalidArgumentError("data after the end of the gzip stream");
      }
      data->remove_prefix(data->size());
      return absl::OkStatus();
  }
  return absl::InternalError("no such state");
}

absl::Status GzipDecoder::Header(absl::string_view* data) {
  for (bool done = false; !done && !data->empty(); data->remove_prefix(1)) {
    ASSIGN_OR_RETURN(done, header_.Take(static_cast<uint8_t>((*data)[0])));
    if (done) state_ = State::kBody;
  }
  return absl::OkStatus();
}

absl::Status GzipDecoder::Body(absl::string_view* data, const Emit& emit) {
  auto step = inflate_->Run(*data, output_.data(), output_.size());
  if (!step.ok()) return Damaged(step.status());
  data->remove_prefix(step->consumed);
  size_ += static_cast<uint32_t>(step->produced);
  pending_ = step->produced == output_.size() && !step->end;
  RETURN_IF_ERROR(emit({output_.data(), step->produced}));
  if (!step->end) return absl::OkStatus();
  state_ = State::kTrailer;
  // A library reads less ahead than the trailer has.
  absl::string_view behind = step->behind;
  return Damaged(Trailer(&behind));
}

absl::Status GzipDecoder::Trailer(absl::string_view* data) {
  for (; trailer_bytes_ < kTrailerBytes && !data->empty(); data->remove_prefix(1)) {
    trailer_ |= uint64_t{static_cast<uint8_t>((*data)[0])} << (8 * trailer_bytes_++);
  }
  if (trailer_bytes_ < kTrailerBytes) return absl::OkStatus();
  if (static_cast<uint32_t>(trailer_) != inflate_->Crc()) return absl::InvalidArgumentError("incorrect data check");
  if (trailer_ >> 32 != size_) return absl::InvalidArgumentError("incorrect length check");
  inflate_->Reset();
  header_ = GzipHeader();
  size_ = 0;
  trailer_ = 0;
  trailer_bytes_ = 0;
  state_ = State::kBetween;
  return absl::OkStatus();
}

}  // namespace berth
