#include "core/config/toml_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace berth {
namespace {

const char* TypeName(const toml::value& value) {
  switch (value.type()) {
    case toml::value_t::boolean:
      return "a boolean";
    case toml::value_t::integer:
      return "an integer";
    case toml::value_t::floating:
      return "a floating-point number";
    case toml::value_t::string:
      return "a string";
    case toml::value_t::array:
      return "an array";
    case toml::value_t::table:
      return "a table";
    default:
      return "a date or time";
  }
}

}  // namespace

const toml::value* TomlReader::Take(const std::string& key) {
  taken_.insert(key);
  const auto& table = table_.as_table();
  const auto found = table.find(key);
  return found == table.end() ? nullptr : &found->second;
}

void TomlReader::Fault(const toml::value& at, const std::string& key, const std::string& what) {
  faults_->push_back(
      absl::StrCat(file_, ":", at.location().line(), ": ", path_, path_.empty() ? "" : ".", key, ": ", what));
}

void TomlReader::Read(const std::string& key, std::string* out) {
  const toml::value* value = Take(key);
  if (value == nullptr) return;
  if (!value->is_string()) return Fault(*value, key, absl::StrCat("expected a string, found ", TypeName(*value)));
  *out = value->as_string().str;
}

void TomlReader::ReadPath(const std::string& key, std::string* out) {
  const toml::value* value = Take(key);
  if (value == nullptr) return;
  Read(key, out);
  if (value->is_string() && (out->empty() || out->front() != '/')) Fault(*value, key, "expected an absolute path");
}

void TomlReader::ReadOneOf(const std::string& key, const std::vector<std::string>& choices, std::string* out) {
  const toml::value* value = Take(key);
  if (value == nullptr) return;
  Read(key, out);
  if (value->is_string() && std::find(choices.begin(), choices.end(), *out) == choices.end()) {
    Fault(*value, key, absl::StrCat(*out, " is none of ", absl::StrJoin(choices, ", ")));
  }
}

void TomlReader::Read(const std::string& key, std::vector<std::string>* out) {
  const toml::value* value = Take(key);
  if (value == nullptr) return;
  if (!value->is_array()) return Fault(*value, key, absl::StrCat("expected an array, found ", TypeName(*value)));
  std::vector<std::string> strings;
  for (const toml::value& item : value->as_array()) {
    if (!item.is_string()) return Fault(item, key, absl::StrCat("expected strings, found ", TypeName(item)));
    strings.push_back(item.as_string().str);
  }
  *out = std::move(strings);
}

void TomlReader::Read(const std::string& key, bool* out) {
  const toml::value* value = Take(key);
  if (value == nullptr) return;
  if (!value->is_boolean()) return Fault(*value, key, absl::StrCat("expected a boolean, found ", TypeName(*value)));
  *out = value->as_boolean();
}

void TomlReader::ReadInt(const std::string& key, int64_t least, int64_t most, int64_t* out) {
  const toml::value* value = Take(key);
  if (value == nullptr) return;
  if (!value->is_integer()) return Fault(*value, key, absl::StrCat("expected an integer, found ", TypeName(*value)));
  const int64_t number = value->as_integer();
  if (number < least || number > most) {
    return Fault(*value, key, absl::StrCat(number, " is not between ", least, " and ", most));
  }
  *out = number;
}

void TomlReader::ReadTable(const std::string& key, const std::function<void(TomlReader&)>& read) {
  const toml::value* value = Take(key);
  if (value == nullptr) return;
  if (!value->is_table()) return Fault(*value, key, absl::StrCat("expected a table, found ", TypeName(*value)));
  TomlReader inner(*value, absl::StrCat(path_, path_.empty() ? "" : ".", key), file_, faults_);
  read(inner);
  inner.ReportUnknown();
}

void TomlReader::ReadTables(const std::function<void(const std::string& name, TomlReader&)>& read) {
  for (const auto& [key, value] : table_.as_table()) {
    ReadTable(key, [&, name = key](TomlReader& inner) { read(name, inner); });
  }
}

bool TomlReader::Convert(const toml::value& from, const std::string& key, ConfigValue* to) {
  switch (from.type()) {
    case toml::value_t::boolean:
      to->value = from.as_boolean();
      return true;
    case toml::value_t::integer:
      to->value = static_cast<int64_t>(from.as_integer());
      return true;
    case toml::value_t::floating:
      to->value = from.as_floating();
      return true;
    case toml::value_t::string:
      to->value = from.as_string().str;
      return true;
    case toml::value_t::array: {
      ConfigValue::Array array;
      for (const toml::value& item : from.as_array()) {
        if (!Convert(item, key, &array.emplace_back())) return false;
      }
      to->value = std::move(array);
      return true;
    }
    case toml::value_t::table: {
      ConfigValue::Table table;
      for (const auto& [name, item] : from.as_table()) {
        if (!Convert(item, absl::StrCat(key, ".", name), &table[name])) return false;
      }
      to->value = std::move(table);
      return true;
    }
    default:
      Fault(from, key, absl::StrCat("expected no ", TypeName(from) + 2, " here; write it as a string"));
      return false;
  }
}

ConfigValue::Table TomlReader::TakeRest() {
  ConfigValue::Table rest;
  for (const auto& [key, value] : table_.as_table()) {
    if (!taken_.insert(key).second) continue;
    ConfigValue converted;
    if (Convert(value, key, &converted)) rest.emplace(key, std::move(converted));
  }
  return rest;
}

void TomlReader::ReportUnknown() {
  for (const auto& [key, value] : table_.as_table()) {
    if (taken_.count(key) == 0) Fault(value, key, "unknown key");
  }
}

}  // namespace berth
