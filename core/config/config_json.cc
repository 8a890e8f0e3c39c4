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

}  // namespace

// A TOML file is UTF-8 by definition, but toml11 does not check it: what is not is replaced instead of thrown at.
std::string ToJson(const ConfigValue::Table& table) {
  return Convert(table).dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace berth
