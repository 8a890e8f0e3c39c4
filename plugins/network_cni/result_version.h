// Results of ADD in the form of each version of the specification.
#ifndef BERTH_PLUGINS_NETWORK_CNI_RESULT_VERSION_H_
#define BERTH_PLUGINS_NETWORK_CNI_RESULT_VERSION_H_

#include <string>

#include "berth/sdk/status.h"
#include "plugins/json/bounded_json.h"

namespace berth::network_cni {

// `result`, an object, in the form of version `to`; what that form has no place for is left out. A result that names no
// version is taken to be of `to`. kInvalidArgument when its version is none that is known. Never throws: members of
// wrong types are left as they are, or left out.
sdk::Result<json::Value> ConvertResult(json::Value result, const std::string& to);

}  // namespace berth::network_cni

#endif  // BERTH_PLUGINS_NETWORK_CNI_RESULT_VERSION_H_
