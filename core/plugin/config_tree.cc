#include "core/plugin/config_tree.h"

#include <algorithm>
#include <iterator>
#include <type_traits>

#include "absl/strings/str_cat.h"

berth_value::berth_value(const berth::ConfigValue& from) {
  if (const auto* table = from.As<berth::ConfigValue::Table>()) {
    Table& into = value_.emplace<Table>();
    for (const auto& [key, value] : *table) into.emplace(key, std::make_unique<berth_value>(value));
  } else if (const auto* array = from.As<berth::ConfigValue::Array>()) {
    Array& into = value_.emplace<Array>();
    for (const berth::ConfigValue& item : *array) into.push_back(std::make_unique<berth_value>(item));
  } else {
    std::visit(
        [this](const auto& scalar) {
          if constexpr (std::is_constructible_v<std::variant<bool, int64_t, double, std::string>, decltype(scalar)>) {
            value_ = scalar;
          }
        },
        from.value);
  }
}

berth_value::berth_value(const berth::ConfigValue::Table& from) : berth_value(berth::ConfigValue{from}) {}

const berth_value* berth_value::Member(const std::string& key) const {
  const Table* table = std::get_if<Table>(&value_);
  if (table == nullptr) return nullptr;
  const auto it = table->find(key);
  if (it == table->end()) return nullptr;
  it->second->read_ = true;
  return it->second.get();
}

const berth_value* berth_value::Item(uint64_t index) const {
  const Array* array = std::get_if<Array>(&value_);
  if (array == nullptr || index >= array->size()) return nullptr;
  return (*array)[index].get();
}

const berth_value* berth_value::Entry(uint64_t index, berth_str* key) const {
  const Table* table = std::get_if<Table>(&value_);
  if (table == nullptr || index >= table->size()) return nullptr;
  const auto it = std::next(table->begin(), static_cast<ptrdiff_t>(index));
  *key = {it->first.data(), it->first.size()};
  return it->second.get();
}

void berth_value::Read(berth_value_data* out) const {
  berth_value_data data{};
  if (const bool* b = std::get_if<bool>(&value_)) {
    data.kind = BERTH_VALUE_BOOL;
    data.integer = *b ? 1 : 0;
  } else if (const int64_t* i = std::get_if<int64_t>(&value_)) {
    data.kind = BERTH_VALUE_INTEGER;
    data.integer = *i;
  } else if (const double* d = std::get_if<double>(&value_)) {
    data.kind = BERTH_VALUE_FLOAT;
    data.number = *d;
  } else if (const std::string* s = std::get_if<std::string>(&value_)) {
    data.kind = BERTH_VALUE_STRING;
    data.string = {s->data(), s->size()};
  } else if (const Array* array = std::get_if<Array>(&value_)) {
    data.kind = BERTH_VALUE_ARRAY;
    data.count = array->size();
  } else if (const Table* table = std::get_if<Table>(&value_)) {
    data.kind = BERTH_VALUE_TABLE;
    data.count = table->size();
  }
  data.struct_size = std::min<uint32_t>(out->struct_size, sizeof(data));
  std::copy_n(reinterpret_cast<const char*>(&data), data.struct_size, reinterpret_cast<char*>(out));
}

void berth_value::AppendUnread(const std::string& prefix, std::vector<std::string>& out) const {
  if (const Table* table = std::get_if<Table>(&value_)) {
    for (const auto& [key, value] : *table) {
      const std::string name = prefix.empty() ? key : absl::StrCat(prefix, ".", key);
      if (!value->read_) {
        out.push_back(name);
      } else {
        value->AppendUnread(name, out);
      }
    }
  } else if (const Array* array = std::get_if<Array>(&value_)) {
    for (size_t i = 0; i < array->size(); ++i) (*array)[i]->AppendUnread(absl::StrCat(prefix, "[", i, "]"), out);
  }
}
