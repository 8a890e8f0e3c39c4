// The AppArmor profile of a container: Berth's own default, one of the node's, or none.
#ifndef BERTH_CORE_OCI_APPARMOR_H_
#define BERTH_CORE_OCI_APPARMOR_H_

#include <cstdint>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "proto/cri/v1/api.pb.h"

namespace berth::oci {

inline constexpr char kDefaultAppArmorProfile[] = "berth-default";

enum class AppArmorKind : uint8_t { kUnconfined, kDefault, kLocalhost };
struct AppArmorChoice {
  AppArmorKind kind = AppArmorKind::kUnconfined;
  std::string profile;  // of kLocalhost: its name
};

// What the security context asks for. Its `apparmor` field wins over the deprecated apparmor_profile; one that asks for
// nothing asks for the default. A privileged container has no default, but keeps a profile that it names.
// kInvalidArgument for what neither field may say.
absl::StatusOr<AppArmorChoice> AppArmorChoiceOf(const runtime::v1::LinuxContainerSecurityContext& security);

// What the node's kernel has.
struct AppArmorFacts {
  bool enabled = false;
  std::set<std::string> profiles;  // that are loaded
};

// Where a node keeps its AppArmor; tests have other places.
struct AppArmorPlaces {
  std::string enabled = "/sys/module/apparmor/parameters/enabled";
  std::string profiles = "/sys/kernel/security/apparmor/profiles";
};

// A node whose list of profiles cannot be read (no securityfs is mounted) has no AppArmor to Berth.
AppArmorFacts ReadAppArmorFacts(const AppArmorPlaces& places = {});

// process.apparmorProfile; "" is none. The default is none where it is not loaded, as without AppArmor: every kubelet
// asks for it. A profile asked for by its name that is not loaded is kFailedPrecondition.
absl::StatusOr<std::string> AppArmorProfile(const runtime::v1::LinuxContainerSecurityContext& security,
                                            const AppArmorFacts& facts);

}  // namespace berth::oci

#endif  // BERTH_CORE_OCI_APPARMOR_H_
