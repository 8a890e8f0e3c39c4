// Debian's docker-registry as a child process, and what it needs to speak TLS and to ask for credentials.
#ifndef BERTH_TOOLS_INTEGRATION_REGISTRY_SERVER_H_
#define BERTH_TOOLS_INTEGRATION_REGISTRY_SERVER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/integration/daemon_process.h"

namespace berth {

// The one user of registries with a password.
inline constexpr char kRegistryUser[] = "puller", kRegistryPassword[] = "s3cret";

struct RegistryServerOptions {
  int port = 5000;           // on 127.0.0.1
  std::string store;         // RegistryStore::root()
  std::string certificates;  // of MakeCertificates: speaks TLS. "": does not
  bool tls = true;           // with certificates
  bool client_certificates = false;
  bool password = false;    // Basic
  std::string token_realm;  // Bearer: the URL of the token server, which signs with server.key
};

// Writes ca.crt, server.crt and server.key (for localhost and 127.0.0.1), client.crt and client.key into `directory`.
absl::Status MakeCertificates(const std::string& directory);

class RegistryServer {
 public:
  // Returns when it serves. Its files (configuration, log) go into `directory`, which is made.
  static absl::StatusOr<RegistryServer> Start(const std::string& directory, const RegistryServerOptions& options);

  const std::string& host() const { return host_; }  // "127.0.0.1:5000"
  const std::string& log() const { return log_; }
  // SIGKILL.
  void Stop() { process_.Kill(); }

 private:
  std::string host_, log_;
  DaemonProcess process_;
};

}  // namespace berth

#endif  // BERTH_TOOLS_INTEGRATION_REGISTRY_SERVER_H_
