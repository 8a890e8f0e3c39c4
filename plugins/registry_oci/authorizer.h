// Answers a registry's challenges: Basic, and Bearer with tokens from the server that the registry names
// (distribution's token authentication and OAuth2 specifications).
#ifndef BERTH_PLUGINS_REGISTRY_OCI_AUTHORIZER_H_
#define BERTH_PLUGINS_REGISTRY_OCI_AUTHORIZER_H_

#include <mutex>
#include <string>
#include <vector>

#include "berth/sdk/call.h"
#include "berth/sdk/status.h"
#include "plugins/registry_oci/exchange.h"
#include "plugins/registry_oci/http_client.h"
#include "plugins/registry_oci/login.h"
#include "plugins/registry_oci/registry_host.h"

namespace berth::registry_oci {

// For one repository on one server. Thread-safe: while one thread gets a token the others wait for it.
class Authorizer {
 public:
  // What it is given outlives it.
  Authorizer(HttpClient& client, const RegistryHost& host, const Login& login, std::string repository)
      : client_(client), host_(host), login_(login), repository_(std::move(repository)) {}

  // The value of the Authorization field to send; "" for none.
  std::string Header() const;

  // To a refusal, over TLS or not, of a request that had `used` in its Authorization field: what to try instead.
  // kUnauthenticated when there is nothing better. `*retry_after_ms`: what a token server asks for together with
  // kUnavailable.
  sdk::Result<std::string> Answer(const sdk::Call& call, bool tls, const std::string& used,
                                  const std::vector<AuthChallenge>& challenges, int64_t* retry_after_ms);

 private:
  sdk::Result<std::string> FetchToken(const sdk::Call& call, bool tls, const AuthChallenge& challenge,
                                      int64_t* retry_after_ms);
  sdk::Result<std::string> Ask(const sdk::Call& call, HttpRequest request, Reply* reply);

  HttpClient& client_;
  const RegistryHost& host_;
  const Login& login_;
  const std::string repository_;
  mutable std::mutex mutex_;
  std::string header_;  // the last that was made
};

// The scopes of a challenge (RFC 6749 section 3.3) without all but pulling from repositories: what a registry asks for
// is asked of a token server that trusts us more than the registry. `repository`'s own when nothing is left.
std::vector<std::string> PullScopes(const std::string& scope, const std::string& repository);

}  // namespace berth::registry_oci

#endif  // BERTH_PLUGINS_REGISTRY_OCI_AUTHORIZER_H_
