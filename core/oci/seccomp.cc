#include "core/oci/seccomp.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/base/path.h"
#include "core/base/status.h"
#include "core/oci/capabilities.h"
#include "core/oci/json.h"

namespace berth::oci {
namespace {

using runtime::v1::LinuxContainerSecurityContext;
using runtime::v1::SecurityProfile;

absl::StatusOr<SeccompChoice> Localhost(absl::string_view reference) {
  SeccompChoice choice{SeccompKind::kLocalhost, std::string(absl::StripPrefix(reference, "localhost/"))};
  RETURN_IF_ERROR(CheckAbsolutePath(choice.path, "seccomp: the localhost profile"));
  return choice;
}

bool StartsWithAny(const std::string& text, std::initializer_list<const char*> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const char* prefix) { return absl::StartsWith(text, prefix); });
}

// runtime-spec config-linux.md "Seccomp": what executors read of a profile.
absl::StatusOr<nlohmann::json> CheckProfile(const std::string& text) {
  ASSIGN_OR_RETURN(nlohmann::json profile, ParseJson(text, "seccomp profile"));
  absl::Status status;
  const JsonReader reader(profile, "seccomp profile", &status);
  if (!absl::StartsWith(reader.String("defaultAction"), "SCMP_ACT_")) {
    reader.Fail("defaultAction", "must be an action: SCMP_ACT_...");
  }
  for (const std::string& architecture : reader.Strings("architectures")) {
    if (!absl::StartsWith(architecture, "SCMP_ARCH_")) reader.Fail("architectures", "must be SCMP_ARCH_...");
  }
  for (const JsonReader& rule : reader.Objects("syscalls")) {
    if (rule.Strings("names").empty()) rule.Fail("names", "is missing");
    if (!absl::StartsWith(rule.String("action"), "SCMP_ACT_")) rule.Fail("action", "must be SCMP_ACT_...");
    for (const JsonReader& argument : rule.Objects("args")) {
      argument.Uint("index");
      argument.Uint("value");
      if (!StartsWithAny(argument.String("op"), {"SCMP_CMP_"})) argument.Fail("op", "must be SCMP_CMP_...");
    }
  }
  // An executor would wait for an agent that nobody runs.
  if (reader.Has("listenerPath")) reader.Fail("listenerPath", "notification agents are not supported");
  RETURN_IF_ERROR(status);
  return profile;
}

}  // namespace

absl::StatusOr<SeccompChoice> SeccompChoiceOf(const LinuxContainerSecurityContext& security) {
  if (security.privileged()) return SeccompChoice{};
  if (security.has_seccomp()) {
    switch (security.seccomp().profile_type()) {
      case SecurityProfile::RuntimeDefault:
        return SeccompChoice{SeccompKind::kDefault, ""};
      case SecurityProfile::Unconfined:
        return SeccompChoice{};
      case SecurityProfile::Localhost:
        return Localhost(security.seccomp().localhost_ref());
      default:
        return absl::InvalidArgumentError(
            absl::StrCat("seccomp: unknown profile type ", static_cast<int>(security.seccomp().profile_type())));
    }
  }
  const std::string& path = security.seccomp_profile_path();
  if (path.empty() || path == "unconfined") return SeccompChoice{};
  if (path == "runtime/default" || path == "docker/default") return SeccompChoice{SeccompKind::kDefault, ""};
  if (absl::StartsWith(path, "localhost/")) return Localhost(path);
  return absl::InvalidArgumentError(absl::StrCat("seccomp_profile_path \"", absl::CHexEscape(path.substr(0, 200)),
                                                 "\": neither unconfined, runtime/default nor localhost/..."));
}

absl::StatusOr<nlohmann::json> SeccompJson(const runtime::v1::ContainerConfig& config, const HostInputs& host) {
  const LinuxContainerSecurityContext& security = config.linux().security_context();
  ASSIGN_OR_RETURN(const SeccompChoice choice, SeccompChoiceOf(security));
  if (choice.kind == SeccompKind::kUnconfined) return nlohmann::json(nullptr);
  if (choice.kind == SeccompKind::kLocalhost) {
    auto profile = CheckProfile(host.seccomp_profile);
    if (!profile.ok()) return Annotate(profile.status(), choice.path);
    return profile;
  }
  ASSIGN_OR_RETURN(const CapabilitySets sets,
                   ResolveCapabilities(security.capabilities(), security.privileged(), host.capabilities));
  return DefaultSeccompProfile(sets.bounding, host.architecture);
}

}  // namespace berth::oci
