// A configuration value as JSON: the form in which it crosses to the pull worker and appears in verbose answers.
#ifndef BERTH_CORE_CONFIG_CONFIG_JSON_H_
#define BERTH_CORE_CONFIG_CONFIG_JSON_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/config/config_value.h"

namespace berth {

std::string ToJson(const ConfigValue::Table& table);
// What ToJson made. kInvalidArgument for anything that is no object of such values.
absl::StatusOr<ConfigValue::Table> FromJson(absl::string_view json);

}  // namespace berth

#endif  // BERTH_CORE_CONFIG_CONFIG_JSON_H_
