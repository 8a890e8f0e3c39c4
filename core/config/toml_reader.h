// Reads a parsed TOML table key by key and remembers what was asked for, so that what is left over can be reported.
#ifndef BERTH_CORE_CONFIG_TOML_READER_H_
#define BERTH_CORE_CONFIG_TOML_READER_H_

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/config/config_value.h"
#include "toml.hpp"

namespace berth {

// Faults are collected in `faults`, one line each: "FILE:LINE: KEY: what is wrong". All references outlive the reader.
class TomlReader {
 public:
  TomlReader(const toml::value& table, std::string path, const std::string& file, std::vector<std::string>* faults)
      : table_(table), path_(std::move(path)), file_(file), faults_(faults) {}

  // Each leaves `out` as it is when the key is absent, and adds a fault when its type or range is wrong.
  void Read(const std::string& key, std::string* out);
  void Read(const std::string& key, std::vector<std::string>* out);
  void Read(const std::string& key, bool* out);
  void ReadInt(const std::string& key, int64_t least, int64_t most, int64_t* out);
  void ReadPath(const std::string& key, std::string* out);  // absolute
  void ReadOneOf(const std::string& key, const std::vector<std::string>& choices, std::string* out);
  // Calls `read` with the table below `key`, and reports what it left unread.
  void ReadTable(const std::string& key, const std::function<void(TomlReader&)>& read);
  // The same for every table inside this one.
  void ReadTables(const std::function<void(const std::string& name, TomlReader&)>& read);
  // Everything not yet read, as values for a plugin.
  ConfigValue::Table TakeRest();

  // Adds a fault for every key that nobody asked for.
  void ReportUnknown();

 private:
  const toml::value* Take(const std::string& key);
  void Fault(const toml::value& at, const std::string& key, const std::string& what);
  bool Convert(const toml::value& from, const std::string& key, ConfigValue* to);

  const toml::value& table_;
  const std::string path_;
  const std::string& file_;
  std::vector<std::string>* const faults_;
  std::set<std::string> taken_;
};

}  // namespace berth

#endif  // BERTH_CORE_CONFIG_TOML_READER_H_
