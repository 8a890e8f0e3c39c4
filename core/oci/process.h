// The `process` part of a runtime spec: command line, environment, user, capabilities.
#ifndef BERTH_CORE_OCI_PROCESS_H_
#define BERTH_CORE_OCI_PROCESS_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/oci/spec_input.h"

namespace berth::oci {

// All of it but `user`, which is UserJson's.
absl::StatusOr<nlohmann::json> ProcessJson(const SpecInput& input);
nlohmann::json UserJson(const ResolvedUser& user);

// By the rules of CRI: command replaces the entrypoint, args the image's cmd, and a command without args drops the
// image's cmd. kInvalidArgument when nothing is left to run.
absl::StatusOr<std::vector<std::string>> CommandLine(const runtime::v1::ContainerConfig& config,
                                                     const ContainerDefaults& image);

}  // namespace berth::oci

#endif  // BERTH_CORE_OCI_PROCESS_H_
