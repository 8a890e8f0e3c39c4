#include "plugins/network_cni/version.h"

namespace berth::network_cni {

std::optional<Version> ParseVersion(std::string_view text) {
  int part[3] = {0, 0, 0};
  size_t i = 0;
  bool digit = false;
  for (const char c : text) {
    if (c == '.' && digit && i < 2) {
      ++i;
      digit = false;
    } else if (c >= '0' && c <= '9' && part[i] < 10000) {
      part[i] = part[i] * 10 + (c - '0');
      digit = true;
    } else {
      return std::nullopt;
    }
  }
  if (!digit) return std::nullopt;
  return Version{part[0], part[1], part[2]};
}

bool AtLeast(std::string_view version, int major, int minor) {
  const std::optional<Version> parsed = ParseVersion(version);
  return parsed && *parsed >= Version{major, minor, 0};
}

}  // namespace berth::network_cni
