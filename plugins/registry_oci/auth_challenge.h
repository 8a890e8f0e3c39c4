// The WWW-Authenticate header field (RFC 9110 section 11.6.1): what a registry wants to see.
#ifndef BERTH_PLUGINS_REGISTRY_OCI_AUTH_CHALLENGE_H_
#define BERTH_PLUGINS_REGISTRY_OCI_AUTH_CHALLENGE_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace berth::registry_oci {

struct AuthChallenge {
  std::string scheme;                         // lower case: "basic", "bearer"
  std::map<std::string, std::string> params;  // names in lower case; of one given twice, the first

  // "" when there is none.
  std::string Param(const std::string& name) const {
    const auto it = params.find(name);
    return it == params.end() ? "" : it->second;
  }
};

// The challenges of one field value, in its order. Whatever is malformed ends the list; what came before it counts. At
// most 8 KiB are looked at, 16 challenges and 32 parameters of each kept.
std::vector<AuthChallenge> ParseChallenges(std::string_view field);

}  // namespace berth::registry_oci

#endif  // BERTH_PLUGINS_REGISTRY_OCI_AUTH_CHALLENGE_H_
