#include "core/oci/capabilities.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/base/status.h"

namespace berth::oci {
namespace {

// By number (capabilities(7)).
constexpr const char* kNames[] = {"CHOWN",
                                  "DAC_OVERRIDE",
                                  "DAC_READ_SEARCH",
                                  "FOWNER",
                                  "FSETID",
                                  "KILL",
                                  "SETGID",
                                  "SETUID",
                                  "SETPCAP",
                                  "LINUX_IMMUTABLE",
                                  "NET_BIND_SERVICE",
                                  "NET_BROADCAST",
                                  "NET_ADMIN",
                                  "NET_RAW",
                                  "IPC_LOCK",
                                  "IPC_OWNER",
                                  "SYS_MODULE",
                                  "SYS_RAWIO",
                                  "SYS_CHROOT",
                                  "SYS_PTRACE",
                                  "SYS_PACCT",
                                  "SYS_ADMIN",
                                  "SYS_BOOT",
                                  "SYS_NICE",
                                  "SYS_RESOURCE",
                                  "SYS_TIME",
                                  "SYS_TTY_CONFIG",
                                  "MKNOD",
                                  "LEASE",
                                  "AUDIT_WRITE",
                                  "AUDIT_CONTROL",
                                  "SETFCAP",
                                  "MAC_OVERRIDE",
                                  "MAC_ADMIN",
                                  "SYSLOG",
                                  "WAKE_ALARM",
                                  "BLOCK_SUSPEND",
                                  "AUDIT_READ",
                                  "PERFMON",
                                  "BPF",
                                  "CHECKPOINT_RESTORE"};
constexpr int kCount = sizeof(kNames) / sizeof(kNames[0]);
constexpr uint64_t kAll = (uint64_t{1} << kCount) - 1;

constexpr const char* kDefaults[] = {
    "CHOWN",  "DAC_OVERRIDE", "FSETID",  "FOWNER",           "MKNOD",      "NET_RAW", "SETGID",
    "SETUID", "SETFCAP",      "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL",    "AUDIT_WRITE"};

bool IsAll(absl::string_view name) { return absl::AsciiStrToUpper(name) == "ALL"; }

absl::StatusOr<uint64_t> Parse(const std::string& name, const char* list) {
  const uint64_t bit = CapabilityBit(name);
  if (bit != 0) return bit;
  return absl::InvalidArgumentError(absl::StrCat("security context: ", list, " names the unknown capability \"",
                                                 absl::CHexEscape(name.substr(0, 64)), "\""));
}

absl::StatusOr<uint64_t> ParseAvailable(const std::string& name, const char* list, uint64_t available) {
  ASSIGN_OR_RETURN(const uint64_t bit, Parse(name, list));
  if (bit & available) return bit;
  return absl::FailedPreconditionError(
      absl::StrCat("security context: ", list, " asks for ", name, ", which the runtime itself does not have"));
}

}  // namespace

uint64_t CapabilityBit(absl::string_view name) {
  const std::string upper = absl::AsciiStrToUpper(name.substr(0, 64));
  const absl::string_view bare = absl::StripPrefix(upper, "CAP_");
  for (int i = 0; i < kCount; ++i) {
    if (bare == kNames[i]) return uint64_t{1} << i;
  }
  return 0;
}

absl::StatusOr<CapabilitySets> ResolveCapabilities(const runtime::v1::Capability& wanted, bool privileged,
                                                   uint64_t available) {
  available &= kAll;
  CapabilitySets sets;
  for (const char* name : kDefaults) sets.bounding |= CapabilityBit(name) & available;
  if (privileged) sets.bounding = available;
  for (const std::string& name : wanted.add_capabilities()) {
    if (IsAll(name)) sets.bounding = available;
  }
  for (const std::string& name : wanted.drop_capabilities()) {
    if (IsAll(name) && !privileged) sets.bounding = 0;
  }
  for (const std::string& name : wanted.add_capabilities()) {
    if (IsAll(name)) continue;
    ASSIGN_OR_RETURN(const uint64_t bit, ParseAvailable(name, "add_capabilities", available));
    sets.bounding |= bit;
  }
  for (const std::string& name : wanted.add_ambient_capabilities()) {
    ASSIGN_OR_RETURN(const uint64_t bit, ParseAvailable(name, "add_ambient_capabilities", available));
    sets.ambient |= bit;
  }
  for (const std::string& name : wanted.drop_capabilities()) {
    if (IsAll(name)) continue;
    ASSIGN_OR_RETURN(const uint64_t bit, Parse(name, "drop_capabilities"));
    if (privileged) continue;
    sets.bounding &= ~bit;
    sets.ambient &= ~bit;
  }
  sets.bounding |= sets.ambient;
  return sets;
}

std::vector<std::string> CapabilityNames(uint64_t set) {
  std::vector<std::string> names;
  for (int i = 0; i < kCount; ++i) {
    if (set & (uint64_t{1} << i)) names.push_back(absl::StrCat("CAP_", kNames[i]));
  }
  return names;
}

}  // namespace berth::oci
