// A plugin's configuration as the C ABI shows it: a tree that remembers what was looked at.
#ifndef BERTH_CORE_PLUGIN_CONFIG_TREE_H_
#define BERTH_CORE_PLUGIN_CONFIG_TREE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "berth/abi/base.h"
#include "core/config/config_value.h"

// The ABI's opaque type. Immutable but for `read`: any thread.
struct berth_value {
  explicit berth_value(const berth::ConfigValue& from);
  explicit berth_value(const berth::ConfigValue::Table& from);

  const berth_value* Member(const std::string& key) const;  // nullptr: no such key
  const berth_value* Item(uint64_t index) const;            // nullptr: beyond the end, or no array
  const berth_value* Entry(uint64_t index, berth_str* key) const;
  void Read(berth_value_data* out) const;

  // Dotted keys below `prefix` that nobody has looked at.
  void AppendUnread(const std::string& prefix, std::vector<std::string>& out) const;

 private:
  using Array = std::vector<std::unique_ptr<berth_value>>;
  using Table = std::map<std::string, std::unique_ptr<berth_value>>;

  std::variant<bool, int64_t, double, std::string, Array, Table> value_;
  mutable std::atomic<bool> read_{false};
};

#endif  // BERTH_CORE_PLUGIN_CONFIG_TREE_H_
