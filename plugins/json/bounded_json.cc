#include "plugins/json/bounded_json.h"

namespace berth::json {
namespace {

// The library's parser does not recurse, but copies and dumps of what it made do.
bool DeeperThan(std::string_view text, int max_depth) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > max_depth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

}  // namespace

sdk::Result<Value> Parse(std::string_view text, std::string_view what, size_t max_size) {
  const std::string name(what);
  if (text.size() > max_size) {
    return sdk::ResourceExhausted(name + ": " + std::to_string(text.size()) + " bytes of JSON, at most " +
                                  std::to_string(max_size) + " are read");
  }
  if (DeeperThan(text, kMaxDepth)) {
    return sdk::InvalidArgument(name + ": JSON nests deeper than " + std::to_string(kMaxDepth) + " levels");
  }
  try {
    return Value::parse(text.begin(), text.end());
  } catch (const Value::parse_error& e) {
    return sdk::InvalidArgument(name + ": not JSON at byte " + std::to_string(e.byte));
  } catch (const Value::exception&) {
    return sdk::InvalidArgument(name + ": JSON with a number out of range");
  }
}

std::string Dump(const Value& value) { return value.dump(-1, ' ', false, Value::error_handler_t::replace); }

const Value* Member(const Value& value, const char* key) {
  if (!value.is_object()) return nullptr;
  const auto it = value.find(key);
  return it == value.end() ? nullptr : &*it;
}

std::string StringMember(const Value& value, const char* key, std::string_view fallback) {
  const Value* member = Member(value, key);
  return member != nullptr && member->is_string() ? member->get_ref<const std::string&>() : std::string(fallback);
}

std::optional<uint64_t> UintMember(const Value& value, const char* key) {
  const Value* member = Member(value, key);
  if (member == nullptr || !member->is_number_unsigned()) return std::nullopt;
  return member->get<uint64_t>();
}

bool BoolMember(const Value& value, const char* key, bool fallback) {
  const Value* member = Member(value, key);
  return member != nullptr && member->is_boolean() ? member->get<bool>() : fallback;
}

const std::vector<Value>& ArrayMember(const Value& value, const char* key) {
  static const auto* const kEmpty = new std::vector<Value>();
  const Value* member = Member(value, key);
  return member != nullptr && member->is_array() ? member->get_ref<const std::vector<Value>&>() : *kEmpty;
}

}  // namespace berth::json
