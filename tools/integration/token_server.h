// A token server for docker-registry (distribution's token authentication specification): knows one user, signs with
// server.key of MakeCertificates.
#ifndef BERTH_TOOLS_INTEGRATION_TOKEN_SERVER_H_
#define BERTH_TOOLS_INTEGRATION_TOKEN_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "plugins/registry_oci/testing/scripted_server.h"

namespace berth {

// What it takes besides kRegistryUser with kRegistryPassword: a refresh token, by POST.
inline constexpr char kIdentityToken[] = "refresh-me";

// A token that lets its bearer pull from `repository`.
absl::StatusOr<std::string> SignPullToken(const std::string& certificates, const std::string& repository);

class TokenServer {
 public:
  explicit TokenServer(std::string certificates);

  std::string realm() const { return server_->url() + "/token"; }
  const registry_oci::ScriptedServer& server() const { return *server_; }

 private:
  registry_oci::ServedResponse Answer(const registry_oci::ServedRequest& request) const;

  const std::string certificates_;
  std::unique_ptr<registry_oci::ScriptedServer> server_;
};

}  // namespace berth

#endif  // BERTH_TOOLS_INTEGRATION_TOKEN_SERVER_H_
