// What crun, runc and their like print about themselves and about a container. Pure functions over bounded text.
#ifndef BERTH_PLUGINS_EXECUTOR_OCI_RUNTIME_OUTPUT_H_
#define BERTH_PLUGINS_EXECUTOR_OCI_RUNTIME_OUTPUT_H_

#include <string>
#include <string_view>

#include "berth/sdk/oci_executor.h"
#include "berth/sdk/status.h"

namespace berth::executor_oci {

inline constexpr size_t kMaxOutput = 1 << 20;

// `state ID` (runtime-spec runtime.md, "State").
sdk::Result<sdk::ExecutorContainer> ParseState(std::string_view out);

// Of `--version` ("NAME version VERSION", "spec: VERSION") and of `features` (runtime-spec features.md; "" or no JSON
// for a runtime that is older than that command). `binary` names the runtime where it does not do so itself.
sdk::ExecutorFeatures ParseFeatures(std::string_view version_out, std::string_view features_out,
                                    std::string_view binary);

}  // namespace berth::executor_oci

#endif  // BERTH_PLUGINS_EXECUTOR_OCI_RUNTIME_OUTPUT_H_
