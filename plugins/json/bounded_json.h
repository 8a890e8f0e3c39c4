// JSON from outside, for plugins: bounded in size and depth, and no exception of the library gets out.
#ifndef BERTH_PLUGINS_JSON_BOUNDED_JSON_H_
#define BERTH_PLUGINS_JSON_BOUNDED_JSON_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "berth/sdk/status.h"
#include "nlohmann/json.hpp"

namespace berth::json {

using Value = nlohmann::json;

inline constexpr int kMaxDepth = 64;

// `what` names the text in errors. kInvalidArgument with the byte offset for what is not JSON or nests deeper than
// kMaxDepth, kResourceExhausted for more than `max_size` bytes.
sdk::Result<Value> Parse(std::string_view text, std::string_view what, size_t max_size);

// The text of a value; bytes that are not UTF-8 become U+FFFD.
std::string Dump(const Value& value);

// None of these throws, whatever `value` is: a member that is missing, or of another type, is absent.
const Value* Member(const Value& value, const char* key);  // nullptr: absent
std::string StringMember(const Value& value, const char* key, std::string_view fallback = "");
std::optional<uint64_t> UintMember(const Value& value, const char* key);
bool BoolMember(const Value& value, const char* key, bool fallback);
const std::vector<Value>& ArrayMember(const Value& value, const char* key);  // empty: absent

}  // namespace berth::json

#endif  // BERTH_PLUGINS_JSON_BOUNDED_JSON_H_
