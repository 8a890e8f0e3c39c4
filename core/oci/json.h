// JSON from outside, read with bounds and without exceptions.
#ifndef BERTH_CORE_OCI_JSON_H_
#define BERTH_CORE_OCI_JSON_H_

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace berth {

struct JsonLimits {
  size_t bytes = 4 << 20;
  int depth = 64;
};

// One JSON text. kInvalidArgument, naming `what`, for anything else and beyond the limits.
absl::StatusOr<nlohmann::json> ParseJson(absl::string_view text, absl::string_view what, JsonLimits limits = {});

// The text of a value. kInvalidArgument when a string in it is not UTF-8, which JSON cannot carry.
absl::StatusOr<std::string> DumpJson(const nlohmann::json& value, absl::string_view what);

// Reads the members of one object. What is missing or null reads as empty or 0, as the OCI formats want it; the first
// member of a wrong type is kept in `status`, with its path. Borrows the object and the status.
class JsonReader {
 public:
  // A `value` that is no object is an error by itself; reading it gives empty values.
  JsonReader(const nlohmann::json& value, std::string path, absl::Status* status);

  bool Has(const char* key) const { return Find(key) != nullptr; }
  std::string String(const char* key) const;
  bool Bool(const char* key) const;
  int64_t Int(const char* key) const;
  uint64_t Uint(const char* key) const;
  std::vector<std::string> Strings(const char* key) const;
  std::map<std::string, std::string> StringMap(const char* key) const;
  std::vector<std::string> Keys(const char* key) const;    // the names in an object used as a set
  JsonReader Object(const char* key) const;                // an empty one if there is none
  std::vector<JsonReader> Objects(const char* key) const;  // of an array

  // Keeps an error about member `key`.
  void Fail(const char* key, absl::string_view why) const;

 private:
  const nlohmann::json* Find(const char* key) const;
  std::string PathOf(const char* key) const;

  const nlohmann::json* object_;  // null: reads as empty
  std::string path_;
  absl::Status* status_;
};

}  // namespace berth

#endif  // BERTH_CORE_OCI_JSON_H_
