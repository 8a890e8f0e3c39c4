#include "core/plugin/abi_reader.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/base/path.h"
#include "core/base/status.h"

namespace berth {
namespace {

// Length of the character at the begin of `text`, or 0.
size_t Utf8Length(absl::string_view text) {
  const auto at = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0; };
  const auto tail = [&](size_t i) { return (at(i) & 0xC0) == 0x80; };
  const unsigned char c = at(0);
  if (c < 0x80) return 1;
  if (c >= 0xC2 && c <= 0xDF) return tail(1) ? 2 : 0;
  if (c >= 0xE0 && c <= 0xEF) {
    if (!tail(1) || !tail(2)) return 0;
    if ((c == 0xE0 && at(1) < 0xA0) || (c == 0xED && at(1) > 0x9F)) return 0;
    return 3;
  }
  if (c >= 0xF0 && c <= 0xF4) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    if ((c == 0xF0 && at(1) < 0x90) || (c == 0xF4 && at(1) > 0x8F)) return 0;
    return 4;
  }
  return 0;
}

std::string Readable(absl::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t n = Utf8Length(text);
    if (n == 0 || text[0] == '\0') {
      out += '?';
    } else {
      absl::StrAppend(&out, text.substr(0, n));
    }
    text.remove_prefix(std::max<size_t>(n, 1));
  }
  return out;
}

}  // namespace

bool IsUtf8(absl::string_view text) {
  while (!text.empty()) {
    const size_t n = Utf8Length(text);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
  return true;
}

bool AbiReader::Fail(const char* what, const char* why) {
  if (ok()) fault_ = absl::StrCat(what, " ", why);
  return false;
}

std::string AbiReader::Bytes(berth_str s, const char* what, size_t max) {
  if (!ok()) return "";
  if (s.size == 0) return "";
  if (s.data == nullptr) {
    Fail(what, "has a size and no data");
  } else if (s.size > max) {
    Fail(what, "is too long");
  } else {
    return std::string(s.data, s.size);
  }
  return "";
}

std::string AbiReader::Text(berth_str s, const char* what, size_t max) {
  std::string text = Bytes(s, what, max);
  if (text.find('\0') != std::string::npos) {
    Fail(what, "has a NUL byte in it");
  } else if (!IsUtf8(text)) {
    Fail(what, "is not UTF-8");
  } else {
    return text;
  }
  return "";
}

bool AbiReader::List(const void* items, uint64_t count, const char* what, uint64_t max) {
  if (!ok()) return false;
  if (count > max) return Fail(what, "are too many");
  if (count > 0 && items == nullptr) return Fail(what, "have a count and no data");
  return true;
}

std::vector<std::string> AbiReader::Texts(const berth_str* items, uint64_t count, const char* what, size_t max) {
  std::vector<std::string> out;
  if (!List(items, count, what)) return out;
  for (uint64_t i = 0; i < count && ok(); ++i) out.push_back(Text(items[i], what, max));
  return out;
}

std::vector<std::pair<std::string, std::string>> AbiReader::Pairs(const berth_pair* items, uint64_t count,
                                                                  const char* what) {
  std::vector<std::pair<std::string, std::string>> out;
  if (!List(items, count, what)) return out;
  for (uint64_t i = 0; i < count && ok(); ++i) out.emplace_back(Text(items[i].key, what), Text(items[i].value, what));
  return out;
}

std::string AbiReader::Path(berth_str s, const char* what) {
  std::string path = Text(s, what);
  if (ok() && !CheckAbsolutePath(path, what).ok()) Fail(what, "is not an absolute path without ..");
  return ok() ? path : "";
}

std::vector<berth_str> AbiStrs(const std::vector<std::string>& strings) {
  std::vector<berth_str> out;
  out.reserve(strings.size());
  for (const std::string& s : strings) out.push_back(AbiStr(s));
  return out;
}

int32_t FillAbiError(const absl::Status& status, berth_error* err) {
  const int32_t code = status.raw_code();
  if (status.ok() || err == nullptr) return code;
  constexpr uint32_t kHead = offsetof(berth_error, text);
  const size_t room = err->struct_size > kHead ? std::min<size_t>(err->struct_size - kHead, sizeof(err->text)) : 0;
  const absl::string_view text = status.message();
  size_t size = std::min(text.size(), room);
  while (size > 0 && size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  err->code = code;
  err->sys_errno = ErrnoOf(status);
  err->size = static_cast<uint32_t>(size);
  memcpy(err->text, text.data(), size);
  return code;
}

absl::Status FromAbiError(absl::string_view who, int32_t code, const berth_error& err) {
  if (code == BERTH_OK) return absl::OkStatus();
  if (code < 0 || code > BERTH_UNAUTHENTICATED) {
    return absl::InternalError(absl::StrCat(who, ": the plugin answered ", code, ", which is no status code"));
  }
  const std::string text = Readable(absl::string_view(err.text, std::min<size_t>(err.size, sizeof(err.text))));
  return WithErrno(absl::Status(static_cast<absl::StatusCode>(code),
                                absl::StrCat(who, ": ", text.empty() ? "failed without saying why" : text)),
                   err.sys_errno > 0 && err.sys_errno < 4096 ? err.sys_errno : 0);
}

}  // namespace berth
