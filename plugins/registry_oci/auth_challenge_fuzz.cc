// Any bytes as WWW-Authenticate: bounded, and no name or scheme that is none.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "plugins/registry_oci/auth_challenge.h"
#include "plugins/registry_oci/url.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto challenges = berth::registry_oci::ParseChallenges({reinterpret_cast<const char*>(data), size});
  if (challenges.size() > 16) abort();
  for (const auto& challenge : challenges) {
    if (challenge.scheme.empty() || challenge.params.size() > 32) abort();
    for (const auto& [name, value] : challenge.params) {
      if (name.empty() || name.find_first_of(" \t\",=") != std::string::npos) abort();
    }
    const auto realm = berth::registry_oci::ParseUrl(challenge.Param("realm"));
    if (realm.ok() && realm->ToString().find_first_of(" \r\n") != std::string::npos) abort();
  }
  return 0;
}
