#include "core/oci/json.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace berth {
namespace {

// nlohmann::json parses without recursion but other code walks the result recursively, so depth is judged beforehand.
bool DeeperThan(absl::string_view text, int limit) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > limit) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

}  // namespace

absl::StatusOr<nlohmann::json> ParseJson(absl::string_view text, absl::string_view what, JsonLimits limits) {
  if (text.size() > limits.bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("parse ", what, ": ", text.size(), " bytes, more than the ", limits.bytes, " allowed"));
  }
  if (DeeperThan(text, limits.depth)) {
    return absl::InvalidArgumentError(absl::StrCat("parse ", what, ": nested deeper than ", limits.depth));
  }
  try {
    return nlohmann::json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::exception& e) {
    return absl::InvalidArgumentError(absl::StrCat("parse ", what, ": ", e.what()));
  }
}

absl::StatusOr<std::string> DumpJson(const nlohmann::json& value, absl::string_view what) {
  try {
    return value.dump();
  } catch (const nlohmann::json::exception& e) {
    return absl::InvalidArgumentError(absl::StrCat("write ", what, ": ", e.what()));
  }
}

JsonReader::JsonReader(const nlohmann::json& value, std::string path, absl::Status* status)
    : object_(value.is_object() ? &value : nullptr), path_(std::move(path)), status_(status) {
  if (!object_ && status_->ok()) {
    *status_ = absl::InvalidArgumentError(absl::StrCat(path_, ": is ", value.type_name(), ", must be an object"));
  }
}

const nlohmann::json* JsonReader::Find(const char* key) const {
  if (!object_) return nullptr;
  const auto it = object_->find(key);
  return it == object_->end() || it->is_null() ? nullptr : &*it;
}

std::string JsonReader::PathOf(const char* key) const { return absl::StrCat(path_, ".", key); }

void JsonReader::Fail(const char* key, absl::string_view why) const {
  if (status_->ok()) *status_ = absl::InvalidArgumentError(absl::StrCat(PathOf(key), ": ", why));
}

std::string JsonReader::String(const char* key) const {
  const nlohmann::json* value = Find(key);
  if (!value) return "";
  if (value->is_string()) return value->get_ref<const std::string&>();
  Fail(key, absl::StrCat("is ", value->type_name(), ", must be a string"));
  return "";
}

bool JsonReader::Bool(const char* key) const {
  const nlohmann::json* value = Find(key);
  if (!value) return false;
  if (value->is_boolean()) return value->get<bool>();
  Fail(key, absl::StrCat("is ", value->type_name(), ", must be a boolean"));
  return false;
}

int64_t JsonReader::Int(const char* key) const {
  const nlohmann::json* value = Find(key);
  if (!value) return 0;
  const bool too_big = value->is_number_unsigned() &&
                       value->get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (value->is_number_integer() && !too_big) return value->get<int64_t>();
  Fail(key, "must be an integer of 64 bits");
  return 0;
}

uint64_t JsonReader::Uint(const char* key) const {
  const nlohmann::json* value = Find(key);
  if (!value) return 0;
  if (value->is_number_unsigned()) return value->get<uint64_t>();
  Fail(key, "must be an integer from 0 to 2^64-1");
  return 0;
}

std::vector<std::string> JsonReader::Strings(const char* key) const {
  std::vector<std::string> result;
  const nlohmann::json* value = Find(key);
  if (!value) return result;
  if (!value->is_array()) {
    Fail(key, absl::StrCat("is ", value->type_name(), ", must be an array"));
    return result;
  }
  for (const nlohmann::json& element : *value) {
    if (!element.is_string()) {
      Fail(key, absl::StrCat("element ", result.size(), " is ", element.type_name(), ", must be a string"));
      return {};
    }
    result.push_back(element.get_ref<const std::string&>());
  }
  return result;
}

std::map<std::string, std::string> JsonReader::StringMap(const char* key) const {
  std::map<std::string, std::string> result;
  for (const std::string& name : Keys(key)) {
    const nlohmann::json& value = Find(key)->at(name);
    if (value.is_null()) {
      result[name] = "";
    } else if (value.is_string()) {
      result[name] = value.get_ref<const std::string&>();
    } else {
      Fail(key, absl::StrCat("\"", name, "\" is ", value.type_name(), ", must be a string"));
      return {};
    }
  }
  return result;
}

std::vector<std::string> JsonReader::Keys(const char* key) const {
  std::vector<std::string> result;
  const nlohmann::json* value = Find(key);
  if (!value) return result;
  if (!value->is_object()) {
    Fail(key, absl::StrCat("is ", value->type_name(), ", must be an object"));
    return result;
  }
  for (const auto& item : value->items()) result.push_back(item.key());
  return result;
}

JsonReader JsonReader::Object(const char* key) const {
  static const nlohmann::json* const kEmpty = new nlohmann::json(nlohmann::json::object());
  const nlohmann::json* value = Find(key);
  return JsonReader(value ? *value : *kEmpty, PathOf(key), status_);
}

std::vector<JsonReader> JsonReader::Objects(const char* key) const {
  std::vector<JsonReader> result;
  const nlohmann::json* value = Find(key);
  if (!value) return result;
  if (!value->is_array()) {
    Fail(key, absl::StrCat("is ", value->type_name(), ", must be an array"));
    return result;
  }
  for (const nlohmann::json& element : *value) {
    result.emplace_back(element, absl::StrCat(PathOf(key), "[", result.size(), "]"), status_);
  }
  return result;
}

}  // namespace berth
