#include "core/base/status.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace berth {
namespace {

constexpr char kErrnoUrl[] = "berth/errno";

}  // namespace

absl::Status ErrnoStatus(int err, absl::string_view what) {
  // absl maps a path problem of any kind to what callers test for; strerrordesc_np never localises.
  const char* text = strerrordesc_np(err);
  return WithErrno(
      absl::Status(absl::ErrnoToStatusCode(err), absl::StrCat(what, ": ", text ? text : absl::StrCat("errno ", err))),
      err);
}

absl::Status ErrnoStatus(absl::string_view what) { return ErrnoStatus(errno, what); }

absl::Status Annotate(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  absl::Status out(status.code(), absl::StrCat(context, ": ", status.message()));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) { out.SetPayload(url, payload); });
  return out;
}

absl::Status WithErrno(absl::Status status, int err) {
  if (err != 0 && !status.ok()) status.SetPayload(kErrnoUrl, absl::Cord(absl::StrCat(err)));
  return status;
}

int ErrnoOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kErrnoUrl);
  if (!payload) return 0;
  const std::string text(*payload);
  int err = 0;
  std::from_chars(text.data(), text.data() + text.size(), err);
  return err;
}

}  // namespace berth
