// linux.seccomp of a container: Berth's own default profile, a profile of the node's, or none.
#ifndef BERTH_CORE_OCI_SECCOMP_H_
#define BERTH_CORE_OCI_SECCOMP_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/oci/host_inputs.h"
#include "proto/cri/v1/api.pb.h"

namespace berth::oci {

enum class SeccompKind : uint8_t { kUnconfined, kDefault, kLocalhost };
struct SeccompChoice {
  SeccompKind kind = SeccompKind::kUnconfined;
  std::string path;  // of kLocalhost: absolute
};

// What the security context asks for. Its `seccomp` field wins over the deprecated seccomp_profile_path; a privileged
// container and one that asks for nothing are unconfined.
absl::StatusOr<SeccompChoice> SeccompChoiceOf(const runtime::v1::LinuxContainerSecurityContext& security);

// null: unconfined. A Localhost profile is host.seccomp_profile, whose form is checked here: an unsound one would make
// the executor fail with less to go by.
absl::StatusOr<nlohmann::json> SeccompJson(const runtime::v1::ContainerConfig& config, const HostInputs& host);

// The default profile: an allowlist for an architecture ("amd64", "arm64") that grows with the container's
// capabilities; everything else fails with EPERM.
nlohmann::json DefaultSeccompProfile(uint64_t capabilities, absl::string_view architecture);

}  // namespace berth::oci

#endif  // BERTH_CORE_OCI_SECCOMP_H_
