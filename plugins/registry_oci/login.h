// What CRI's AuthConfig comes to for one image: who the client is.
#ifndef BERTH_PLUGINS_REGISTRY_OCI_LOGIN_H_
#define BERTH_PLUGINS_REGISTRY_OCI_LOGIN_H_

#include <string>
#include <string_view>

#include "berth/sdk/image_registry.h"
#include "berth/sdk/status.h"

namespace berth::registry_oci {

// Secrets: never logged, never part of a message.
struct Login {
  std::string username, password;
  std::string identity_token;  // an OAuth2 refresh token
  std::string registry_token;  // a bearer token to be presented as it is

  bool HasPassword() const { return !username.empty() || !password.empty(); }
  bool empty() const { return !HasPassword() && identity_token.empty() && registry_token.empty(); }
};

// `auth` is base64 of USER:PASSWORD and counts when there is no username. Empty when there are no credentials, or when
// their server_address (a host or URL) names another registry than `host`. kInvalidArgument, without quoting anything,
// for an `auth` that is not what it should be, and for line breaks where they would end a header field.
sdk::Result<Login> ReadLogin(const sdk::RegistryCredentials& credentials, std::string_view host);

// Standard alphabet, padded.
std::string Base64(std::string_view bytes);

}  // namespace berth::registry_oci

#endif  // BERTH_PLUGINS_REGISTRY_OCI_LOGIN_H_
