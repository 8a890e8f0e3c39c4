#include "core/oci/apparmor.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "core/base/file.h"
#include "core/base/status.h"

namespace berth::oci {
namespace {

using runtime::v1::LinuxContainerSecurityContext;
using runtime::v1::SecurityProfile;

constexpr uint64_t kMostProfileBytes = 16 << 20;

std::string Shown(const std::string& name) { return absl::CHexEscape(name.substr(0, 128)); }

absl::StatusOr<AppArmorChoice> Localhost(absl::string_view reference) {
  AppArmorChoice choice{AppArmorKind::kLocalhost, std::string(absl::StripPrefix(reference, "localhost/"))};
  if (choice.profile.empty()) return absl::InvalidArgumentError("apparmor: the localhost profile has no name");
  return choice;
}

absl::StatusOr<AppArmorChoice> Asked(const LinuxContainerSecurityContext& security) {
  if (security.has_apparmor()) {
    switch (security.apparmor().profile_type()) {
      case SecurityProfile::RuntimeDefault:
        return AppArmorChoice{AppArmorKind::kDefault, ""};
      case SecurityProfile::Unconfined:
        return AppArmorChoice{};
      case SecurityProfile::Localhost:
        return Localhost(security.apparmor().localhost_ref());
      default:
        return absl::InvalidArgumentError(
            absl::StrCat("apparmor: unknown profile type ", static_cast<int>(security.apparmor().profile_type())));
    }
  }
  const std::string& name = security.apparmor_profile();
  if (name.empty() || name == "runtime/default") return AppArmorChoice{AppArmorKind::kDefault, ""};
  if (name == "unconfined") return AppArmorChoice{};
  if (absl::StartsWith(name, "localhost/")) return Localhost(name);
  return absl::InvalidArgumentError(
      absl::StrCat("apparmor_profile \"", Shown(name), "\": neither unconfined, runtime/default nor localhost/..."));
}

}  // namespace

absl::StatusOr<AppArmorChoice> AppArmorChoiceOf(const LinuxContainerSecurityContext& security) {
  ASSIGN_OR_RETURN(AppArmorChoice choice, Asked(security));
  if (choice.kind == AppArmorKind::kDefault && security.privileged()) choice.kind = AppArmorKind::kUnconfined;
  return choice;
}

AppArmorFacts ReadAppArmorFacts(const AppArmorPlaces& places) {
  AppArmorFacts facts;
  const auto enabled = ReadFile(places.enabled);
  if (!enabled.ok() || !absl::StartsWith(*enabled, "Y")) return facts;
  const auto profiles = ReadFile(places.profiles, kMostProfileBytes);
  if (!profiles.ok()) return facts;
  facts.enabled = true;
  // "NAME (MODE)" each; a name may have spaces and brackets itself.
  for (absl::string_view line : absl::StrSplit(*profiles, '\n')) {
    const size_t mode = line.rfind(" (");
    if (mode != absl::string_view::npos) facts.profiles.emplace(line.substr(0, mode));
  }
  return facts;
}

absl::StatusOr<std::string> AppArmorProfile(const LinuxContainerSecurityContext& security, const AppArmorFacts& facts) {
  ASSIGN_OR_RETURN(const AppArmorChoice choice, AppArmorChoiceOf(security));
  if (choice.kind == AppArmorKind::kUnconfined) return std::string();
  if (choice.kind == AppArmorKind::kDefault) {
    return facts.profiles.count(kDefaultAppArmorProfile) > 0 ? kDefaultAppArmorProfile : std::string();
  }
  if (!facts.enabled) {
    return absl::FailedPreconditionError(
        absl::StrCat("AppArmor profile ", Shown(choice.profile), ": AppArmor is not enabled on this node"));
  }
  if (facts.profiles.count(choice.profile) == 0) {
    return absl::FailedPreconditionError(absl::StrCat("AppArmor profile ", Shown(choice.profile),
                                                      ": it is not loaded on this node; apparmor_parser loads it"));
  }
  return choice.profile;
}

}  // namespace berth::oci
