#include "core/oci/selinux.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace berth::oci {
namespace {

using runtime::v1::NamespaceMode;
using runtime::v1::SELinuxOption;

constexpr size_t kMostBytes = 256;
constexpr uint64_t kCategories = 1024;

// "s0", "c1023".
bool IsNumbered(absl::string_view text, char letter) {
  return text.size() >= 2 && text.size() <= 5 && text[0] == letter &&
         std::all_of(text.begin() + 1, text.end(), absl::ascii_isdigit);
}

// c0, or c0.c5: all from one to the other.
bool IsCategories(absl::string_view text) {
  const std::vector<absl::string_view> ends = absl::StrSplit(text, '.');
  return ends.size() <= 2 && std::all_of(ends.begin(), ends.end(), [](auto end) { return IsNumbered(end, 'c'); });
}

bool IsLevel(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, absl::MaxSplits(':', 1));
  if (!IsNumbered(parts[0], 's')) return false;
  if (parts.size() == 1) return true;
  const std::vector<absl::string_view> categories = absl::StrSplit(parts[1], ',');
  return std::all_of(categories.begin(), categories.end(), IsCategories);
}

bool IsRange(absl::string_view text) {
  const std::vector<absl::string_view> levels = absl::StrSplit(text, '-');
  return text.size() <= kMostBytes && levels.size() <= 2 && std::all_of(levels.begin(), levels.end(), IsLevel);
}

bool IsName(absl::string_view text) {
  return !text.empty() && text.size() <= kMostBytes && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.';
  });
}

absl::Status CheckName(absl::string_view field, const std::string& value) {
  if (value.empty() || IsName(value)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("selinux_options: ", field, " \"", absl::CHexEscape(value.substr(0, 64)), "\" is no name"));
}

bool IsEmpty(const SELinuxOption& options) {
  return options.user().empty() && options.role().empty() && options.type().empty() && options.level().empty();
}

}  // namespace

std::string SelinuxContext::ToString() const { return absl::StrCat(user, ":", role, ":", type, ":", level); }

absl::StatusOr<SelinuxContext> ParseSelinuxContext(absl::string_view text) {
  const std::vector<std::string> parts = absl::StrSplit(text, absl::MaxSplits(':', 3));
  if (parts.size() == 4 && std::all_of(parts.begin(), parts.begin() + 3, IsName) && IsRange(parts[3])) {
    return SelinuxContext{parts[0], parts[1], parts[2], parts[3]};
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", absl::CHexEscape(text.substr(0, 200)), "\" is no context: USER:ROLE:TYPE:LEVEL"));
}

absl::Status CheckSelinuxOptions(const SELinuxOption& options) {
  for (const auto& [field, value] : {std::pair<const char*, const std::string&>("user", options.user()),
                                     {"role", options.role()},
                                     {"type", options.type()}}) {
    if (absl::Status bad = CheckName(field, value); !bad.ok()) return bad;
  }
  if (options.level().empty() || IsRange(options.level())) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "selinux_options: level \"", absl::CHexEscape(options.level().substr(0, 64)), "\" is no level such as s0:c1,c2"));
}

absl::StatusOr<std::string> FreeSelinuxLevel(absl::string_view id, const std::set<std::string>& used) {
  constexpr uint64_t kPairs = kCategories * (kCategories - 1) / 2;
  uint64_t number = 0;
  if (!absl::SimpleHexAtoi(id.substr(0, 15), &number)) return absl::InternalError("an id that is not hexadecimal");
  for (uint64_t step = 0; step < kPairs; ++step) {
    // Pair number N in the order {0,1} {0,2} {1,2} {0,3} {1,3} ...
    uint64_t low = (number + step) % kPairs, high = 1;
    while (low >= high) low -= high++;
    std::string level = absl::StrCat("s0:c", low, ",c", high);
    if (used.count(level) == 0) return level;
  }
  return absl::ResourceExhaustedError("SELinux: every pair of categories belongs to a pod; remove pods");
}

SelinuxLabels SelinuxLabelsOf(const SelinuxContexts& contexts, absl::string_view pod_level,
                              const runtime::v1::LinuxSandboxSecurityContext& pod,
                              const runtime::v1::LinuxContainerSecurityContext& container) {
  const SELinuxOption& options =
      IsEmpty(container.selinux_options()) ? pod.selinux_options() : container.selinux_options();
  SelinuxContext process = contexts.process, file = contexts.file;
  process.level = file.level = options.level().empty() ? std::string(pod_level) : options.level();
  if (!options.user().empty()) process.user = file.user = options.user();
  if (!options.role().empty()) process.role = options.role();
  if (!options.type().empty()) process.type = options.type();
  const bool with_the_nodes = container.namespace_options().pid() == NamespaceMode::NODE ||
                              pod.namespace_options().ipc() == NamespaceMode::NODE;
  const bool none = container.privileged() || (with_the_nodes && options.type().empty());
  return {none ? "" : process.ToString(), file.ToString()};
}

}  // namespace berth::oci
