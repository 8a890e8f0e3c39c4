// The configuration as JSON, for the verbose Status answer.
#ifndef BERTH_CORE_CRI_CONFIG_INFO_H_
#define BERTH_CORE_CRI_CONFIG_INFO_H_

#include <nlohmann/json.hpp>

#include "core/config/config.h"

namespace berth {

// Values whose key sounds like a secret (password, token, ...) are hidden.
nlohmann::json ConfigInfo(const Config& config);

}  // namespace berth

#endif  // BERTH_CORE_CRI_CONFIG_INFO_H_
