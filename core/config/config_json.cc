#include "core/config/config_json.h"

#include <nlohmann/json.hpp>

namespace berth {
namespace {

using nlohmann::json;

json Convert(const ConfigValue& value);

json Convert(const ConfigValue::Table& table) {
  json object = json::object();
  for (const auto& [key, item] : table) object[key] = Convert(item);
  return object;
}

json Convert(const ConfigValue& value) {
  if (const auto* array = value.As<ConfigValue::Array>()) {
    json items = json::array();
    for (const ConfigValue& item : *array) items.push_back(Convert(item));
    return items;
  }
  if (const auto* table = value.As<ConfigValue::Table>()) return Convert(*table);
  if (const auto* text = value.As<std::string>()) return *text;
  if (const auto* number = value.As<int64_t>()) return *number;
  if (const auto* real = value.As<double>()) return *real;
  return *value.As<bool>();
}

absl::StatusOr<ConfigValue> Read(const json& value);

absl::StatusOr<ConfigValue::Table> ReadTable(const json& object) {
  ConfigValue::Table table;
  for (const auto& [key, item] : object.items()) {
    auto value = Read(item);
    if (!value.ok()) return value.status();
    table[key] = *std::move(value);
  }
  return table;
}

absl::StatusOr<ConfigValue> Read(const json& value) {
  if (value.is_boolean()) return ConfigValue{value.get<bool>()};
  if (value.is_number_integer()) return ConfigValue{value.get<int64_t>()};
  if (value.is_number_float()) return ConfigValue{value.get<double>()};
  if (value.is_string()) return ConfigValue{value.get<std::string>()};
  if (value.is_object()) {
    auto table = ReadTable(value);
    if (!table.ok()) return table.status();
    return ConfigValue{*std::move(table)};
  }
  if (!value.is_array()) return absl::InvalidArgumentError("configuration: null is no value");
  ConfigValue::Array array;
  for (const json& item : value) {
    auto read = Read(item);
    if (!read.ok()) return read.status();
    array.push_back(*std::move(read));
  }
  return ConfigValue{std::move(array)};
}

}  // namespace

absl::StatusOr<ConfigValue::Table> FromJson(absl::string_view text) {
  const json value = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) return absl::InvalidArgumentError("configuration: not a JSON object");
  return ReadTable(value);
}

// A string that is not UTF-8 is replaced instead of thrown at: whoever made the table need not have read it from TOML.
std::string ToJson(const ConfigValue::Table& table) {
  return Convert(table).dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace berth
