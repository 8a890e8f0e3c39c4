// A table of the plugin's configuration.
//
// A value of the wrong type ends create() with an error that names its key: reads in a constructor need no checks. A
// key that nobody read by the end of the constructor is reported to the operator as unknown.
#ifndef BERTH_SDK_CONFIG_H_
#define BERTH_SDK_CONFIG_H_

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/abi/base.h"
#include "berth/sdk/internal.h"
#include "berth/sdk/status.h"

namespace berth::sdk {

// Cheap to copy. Valid as long as the plugin's instance. Thread-safe.
class Config {
 public:
  Config(const berth_host* host, const berth_value* table, std::string path)
      : host_(host), table_(table), path_(std::move(path)) {}

  bool Has(std::string_view key) const { return Find(key) != nullptr; }

  std::string String(std::string_view key, std::string_view fallback) const {
    const berth_value* v = Find(key);
    return v == nullptr ? std::string(fallback) : ReadString(v, key);
  }
  // A path that must be absolute.
  std::string Path(std::string_view key, std::string_view fallback) const {
    std::string path = String(key, fallback);
    if (path.empty() || path[0] != '/' || path.find('\0') != std::string::npos) {
      Fail(key, "want an absolute path, found \"" + path + "\"");
    }
    return path;
  }
  int64_t Int(std::string_view key, int64_t fallback, int64_t min = std::numeric_limits<int64_t>::min(),
              int64_t max = std::numeric_limits<int64_t>::max()) const {
    const berth_value* v = Find(key);
    if (v == nullptr) return fallback;
    const int64_t value = Read(v, BERTH_VALUE_INTEGER, key).integer;
    if (value < min || value > max) {
      Fail(key, "want " + std::to_string(min) + " to " + std::to_string(max) + ", found " + std::to_string(value));
    }
    return value;
  }
  bool Bool(std::string_view key, bool fallback) const {
    const berth_value* v = Find(key);
    return v == nullptr ? fallback : Read(v, BERTH_VALUE_BOOL, key).integer != 0;
  }
  // Takes integers too.
  double Float(std::string_view key, double fallback) const {
    const berth_value* v = Find(key);
    if (v == nullptr) return fallback;
    const berth_value_data data = Data(v);
    if (data.kind == BERTH_VALUE_INTEGER) return static_cast<double>(data.integer);
    return Read(v, BERTH_VALUE_FLOAT, key).number;
  }
  std::vector<std::string> Strings(std::string_view key, std::vector<std::string> fallback = {}) const {
    const berth_value* v = Find(key);
    if (v == nullptr) return fallback;
    std::vector<std::string> out;
    EachItem(v, key, [&](const berth_value* item, const std::string& name) { out.push_back(ReadString(item, name)); });
    return out;
  }
  std::vector<int64_t> Ints(std::string_view key, std::vector<int64_t> fallback = {}) const {
    const berth_value* v = Find(key);
    if (v == nullptr) return fallback;
    std::vector<int64_t> out;
    EachItem(v, key, [&](const berth_value* item, const std::string& name) {
      out.push_back(Read(item, BERTH_VALUE_INTEGER, name).integer);
    });
    return out;
  }
  // An empty table if there is none.
  Config Table(std::string_view key) const {
    const berth_value* v = Find(key);
    if (v != nullptr) Read(v, BERTH_VALUE_TABLE, key);
    return Config(host_, v, Dotted(key));
  }
  // An array of tables ([[...]] in TOML).
  std::vector<Config> Tables(std::string_view key) const {
    const berth_value* v = Find(key);
    if (v == nullptr) return {};
    std::vector<Config> out;
    EachItem(v, key, [&](const berth_value* item, const std::string& name) {
      Read(item, BERTH_VALUE_TABLE, name);
      out.emplace_back(host_, item, Dotted(name));
    });
    return out;
  }
  // The keys of this table, sorted. Asking for them does not count as reading their values.
  std::vector<std::string> Keys() const {
    std::vector<std::string> out;
    berth_str key{};
    for (uint64_t i = 0; table_ != nullptr && host_->value_entry(host_->ctx, table_, i, &key) != nullptr; ++i) {
      out.push_back(internal::String(key));
    }
    return out;
  }

  // Ends create() with an error about `key`: for values that have the right type and make no sense.
  [[noreturn]] void Fail(std::string_view key, const std::string& what) const {
    throw internal::StatusException(InvalidArgument(Dotted(key) + ": " + what));
  }

 private:
  const berth_value* Find(std::string_view key) const {
    return table_ == nullptr ? nullptr : host_->value_member(host_->ctx, table_, internal::Str(key));
  }
  berth_value_data Data(const berth_value* v) const {
    berth_value_data data{};
    data.struct_size = sizeof(data);
    host_->value_read(host_->ctx, v, &data);
    return data;
  }
  berth_value_data Read(const berth_value* v, int32_t kind, std::string_view key) const {
    const berth_value_data data = Data(v);
    if (data.kind != kind) Fail(key, std::string("want ") + KindName(kind) + ", found " + KindName(data.kind));
    return data;
  }
  std::string ReadString(const berth_value* v, std::string_view key) const {
    return internal::String(Read(v, BERTH_VALUE_STRING, key).string);
  }
  template <class F>
  void EachItem(const berth_value* array, std::string_view key, F&& visit) const {
    const uint64_t count = Read(array, BERTH_VALUE_ARRAY, key).count;
    for (uint64_t i = 0; i < count; ++i) {
      visit(host_->value_item(host_->ctx, array, i), std::string(key) + "[" + std::to_string(i) + "]");
    }
  }
  std::string Dotted(std::string_view key) const { return path_ + "." + std::string(key); }
  static const char* KindName(int32_t kind) {
    static constexpr const char* kNames[] = {"nothing",  "a boolean", "an integer", "a float",
                                             "a string", "an array",  "a table"};
    return kind >= 0 && kind <= BERTH_VALUE_TABLE ? kNames[kind] : "a value of unknown type";
  }

  const berth_host* host_;
  const berth_value* table_;  // nullptr: empty
  std::string path_;
};

}  // namespace berth::sdk

#endif  // BERTH_SDK_CONFIG_H_
