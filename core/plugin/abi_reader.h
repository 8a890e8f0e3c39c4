// Reads what a plugin handed over: nothing in it is believed before it was looked at.
#ifndef BERTH_CORE_PLUGIN_ABI_READER_H_
#define BERTH_CORE_PLUGIN_ABI_READER_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "berth/abi/base.h"

namespace berth {

// Well-formed UTF-8 as of RFC 3629: no overlong forms, no surrogates.
bool IsUtf8(absl::string_view text);

// Keeps the first fault; what is read after it is empty.
class AbiReader {
 public:
  static constexpr size_t kMaxText = 4096;   // names and paths
  static constexpr size_t kMaxCount = 4096;  // elements of a list

  // UTF-8 without NUL bytes.
  std::string Text(berth_str s, const char* what, size_t max = kMaxText);
  std::string Bytes(berth_str s, const char* what, size_t max);
  std::vector<std::string> Texts(const berth_str* items, uint64_t count, const char* what, size_t max = kMaxText);
  std::vector<std::pair<std::string, std::string>> Pairs(const berth_pair* items, uint64_t count, const char* what);
  // False, and a fault, when `items` cannot be a list of `count` elements.
  bool List(const void* items, uint64_t count, const char* what, uint64_t max = kMaxCount);
  // An absolute path without "..".
  std::string Path(berth_str s, const char* what);

  // False, and a fault, when `s` is not a struct of at least version 0.1's size.
  template <class S>
  bool Struct(const S* s, const char* what) {
    if (s == nullptr) return Fail(what, "is NULL");
    if (s->struct_size < sizeof(S)) return Fail(what, "has a struct_size that is too small");
    return ok();
  }

  bool Fail(const char* what, const char* why);
  bool ok() const { return fault_.empty(); }
  const std::string& fault() const { return fault_; }

 private:
  std::string fault_;
};

inline berth_str AbiStr(absl::string_view s) { return {s.data(), s.size()}; }
// Views of strings that the vector goes on owning.
std::vector<berth_str> AbiStrs(const std::vector<std::string>& strings);
template <class Map>
std::vector<berth_pair> AbiPairs(const Map& map) {
  std::vector<berth_pair> out;
  out.reserve(map.size());
  for (const auto& [key, value] : map) out.push_back({AbiStr(key), AbiStr(value)});
  return out;
}

// Fills in *err, cut at the end of a character, and returns its code. `err` may be nullptr.
int32_t FillAbiError(const absl::Status& status, berth_error* err);

// What a plugin's function answered. A code that is none becomes kInternal, and text that is no UTF-8 is made so.
absl::Status FromAbiError(absl::string_view who, int32_t code, const berth_error& err);

}  // namespace berth

#endif  // BERTH_CORE_PLUGIN_ABI_READER_H_
