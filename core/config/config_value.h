// A value of the configuration file, as it is handed to plugins: every TOML type but dates.
#ifndef BERTH_CORE_CONFIG_CONFIG_VALUE_H_
#define BERTH_CORE_CONFIG_CONFIG_VALUE_H_

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace berth {

struct ConfigValue {
  using Array = std::vector<ConfigValue>;
  using Table = std::map<std::string, ConfigValue>;

  std::variant<bool, int64_t, double, std::string, Array, Table> value;

  template <typename T>
  const T* As() const {
    return std::get_if<T>(&value);
  }
};

}  // namespace berth

#endif  // BERTH_CORE_CONFIG_CONFIG_VALUE_H_
