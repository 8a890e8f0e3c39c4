// Between the C ABI and the SDK's types. Not for plugins to use.
#ifndef BERTH_SDK_INTERNAL_H_
#define BERTH_SDK_INTERNAL_H_

#include <algorithm>
#include <cstring>
#include <exception>
#include <map>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "berth/abi/base.h"
#include "berth/sdk/call.h"
#include "berth/sdk/status.h"

namespace berth::sdk::internal {

inline std::string_view View(berth_str s) {
  return s.data == nullptr ? std::string_view() : std::string_view(s.data, static_cast<size_t>(s.size));
}
inline std::string String(berth_str s) { return std::string(View(s)); }
inline berth_str Str(std::string_view s) { return {s.data(), s.size()}; }

inline std::vector<std::string> Strings(const berth_str* items, uint64_t count) {
  std::vector<std::string> out;
  out.reserve(count);
  for (uint64_t i = 0; i < count; ++i) out.push_back(String(items[i]));
  return out;
}

inline std::map<std::string, std::string> Map(const berth_pair* items, uint64_t count) {
  std::map<std::string, std::string> out;
  for (uint64_t i = 0; i < count; ++i) out[String(items[i].key)] = String(items[i].value);
  return out;
}

inline std::vector<berth_str> Strs(const std::vector<std::string>& strings) {
  std::vector<berth_str> out;
  out.reserve(strings.size());
  for (const std::string& s : strings) out.push_back(Str(s));
  return out;
}

inline Call ToCall(const berth_call* raw) { return Call{raw->cancel_fd, raw->deadline_ns, String(raw->trace_id)}; }
inline berth_call RawCall(const Call& call) {
  return {sizeof(berth_call), call.cancel_fd, call.deadline_ns, Str(call.trace_id)};
}

inline berth_error NewError() {
  berth_error err;
  err.struct_size = sizeof(err);
  err.code = err.sys_errno = 0;
  err.size = 0;
  return err;
}

inline Status ToStatus(int32_t code, const berth_error& err) {
  if (code == BERTH_OK) return {};
  return Status(static_cast<Code>(code), std::string(err.text, std::min<size_t>(err.size, sizeof(err.text))),
                err.sys_errno);
}

// Writes what fits: never half a UTF-8 character.
inline int32_t Fill(berth_error* err, Code code, std::string_view text, int sys_errno) noexcept {
  if (err == nullptr) return static_cast<int32_t>(code);
  const size_t room = err->struct_size > offsetof(berth_error, text)
                          ? std::min<size_t>(err->struct_size - offsetof(berth_error, text), sizeof(err->text))
                          : 0;
  size_t size = std::min(text.size(), room);
  if (size < text.size()) {
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  }
  err->code = static_cast<int32_t>(code);
  err->sys_errno = sys_errno;
  err->size = static_cast<uint32_t>(size);
  if (size > 0) memcpy(err->text, text.data(), size);
  return static_cast<int32_t>(code);
}
inline int32_t Fill(berth_error* err, const Status& s) noexcept {
  return s.ok() ? BERTH_OK : Fill(err, s.code(), s.message(), s.sys_errno());
}

// Thrown by Config for a value of the wrong type or out of range.
struct StatusException : std::exception {
  explicit StatusException(Status s) : status(std::move(s)) {}
  const char* what() const noexcept override { return status.message().c_str(); }
  Status status;
};

// The one place where an exception of a plugin's stops.
template <class F>
int32_t Guard(berth_error* err, F&& body) noexcept {
  try {
    return Fill(err, body());
  } catch (const StatusException& e) {
    return Fill(err, e.status);
  } catch (const std::bad_alloc&) {
    return Fill(err, Code::kResourceExhausted, "out of memory", ENOMEM);
  } catch (const std::exception& e) {
    return Fill(err, Code::kInternal, e.what(), 0);
  } catch (...) {
    return Fill(err, Code::kInternal, "an exception of unknown type", 0);
  }
}

// The same for functions that have no error to fill.
template <class T, class F>
T GuardedOr(T fallback, F&& body) noexcept {
  try {
    return body();
  } catch (...) {
    return fallback;
  }
}

}  // namespace berth::sdk::internal

#endif  // BERTH_SDK_INTERNAL_H_
