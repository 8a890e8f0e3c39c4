// Versions of the CNI specification.
#ifndef BERTH_PLUGINS_NETWORK_CNI_VERSION_H_
#define BERTH_PLUGINS_NETWORK_CNI_VERSION_H_

#include <compare>
#include <optional>
#include <string_view>

namespace berth::network_cni {

struct Version {
  int major = 0, minor = 0, patch = 0;
  auto operator<=>(const Version&) const = default;
};

// The newest whose rules this code knows.
inline constexpr Version kNewestVersion{1, 1, 0};
inline constexpr std::string_view kNewestVersionText = "1.1.0";
// What a configuration without a version is of.
inline constexpr std::string_view kOldestVersionText = "0.1.0";

// "1.0.0", "1.0", "1". Nothing for anything else.
std::optional<Version> ParseVersion(std::string_view text);

// True when `version` is `major.minor` or later. False for what is no version.
bool AtLeast(std::string_view version, int major, int minor);

}  // namespace berth::network_cni

#endif  // BERTH_PLUGINS_NETWORK_CNI_VERSION_H_
