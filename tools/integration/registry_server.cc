#include "tools/integration/registry_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/base/subprocess.h"
#include "core/base/unique_fd.h"

namespace berth {
namespace {

// kRegistryPassword by bcrypt with little work.
constexpr char kHtpasswd[] = "puller:$2b$05$.H6AlyQjZR7ETwhSqeyCKufQc.RNpqxAYZFE7uwyZdg0BXxukWLjO\n";

absl::Status OpenSsl(std::vector<std::string> arguments) {
  Command command;
  command.argv = {"/usr/bin/openssl"};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  command.deadline_ns = MonotonicNanos() + int64_t{60'000'000'000};
  ASSIGN_OR_RETURN(const CommandResult result, RunCommand(command));
  if (result.wait_status == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("openssl ", arguments[0], ": ", result.err));
}

// NAME.key, and NAME.crt signed by ca.
absl::Status MakeCertificate(const std::string& directory, const std::string& name, const std::string& extensions) {
  const std::string path = absl::StrCat(directory, "/", name);
  RETURN_IF_ERROR(WriteFileAtomic(path + ".ext", extensions, 0644, Durability::kVolatile));
  RETURN_IF_ERROR(OpenSsl({"req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                           "/CN=" + name, "-keyout", path + ".key", "-out", path + ".csr"}));
  return OpenSsl({"x509", "-req", "-in", path + ".csr", "-CA", directory + "/ca.crt", "-CAkey", directory + "/ca.key",
                  "-CAcreateserial", "-days", "30", "-extfile", path + ".ext", "-out", path + ".crt"});
}

std::string Configuration(const std::string& directory, const RegistryServerOptions& options) {
  const std::string& certificates = options.certificates;
  std::string text =
      absl::StrCat("version: 0.1\nlog: {level: info}\nstorage:\n  filesystem: {rootdirectory: ", options.store,
                   "}\nhttp:\n  addr: 127.0.0.1:", options.port, "\n  secret: x\n");
  if (!certificates.empty() && options.tls) {
    absl::StrAppend(&text, "  tls:\n    certificate: ", certificates, "/server.crt\n    key: ", certificates,
                    "/server.key\n");
  }
  if (options.client_certificates) absl::StrAppend(&text, "    clientcas: [", certificates, "/ca.crt]\n");
  if (options.password) {
    absl::StrAppend(&text, "auth:\n  htpasswd: {realm: berth, path: ", directory, "/htpasswd}\n");
  }
  if (!options.token_realm.empty()) {
    absl::StrAppend(&text, "auth:\n  token: {realm: \"", options.token_realm,
                    "\", service: berth-test, issuer: berth-test, rootcertbundle: ", certificates, "/server.crt}\n");
  }
  return text;
}

bool Accepts(int port) {
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

}  // namespace

absl::Status MakeCertificates(const std::string& directory) {
  RETURN_IF_ERROR(MakeDirs(directory));
  RETURN_IF_ERROR(
      OpenSsl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
               "/CN=berth test ca", "-keyout", directory + "/ca.key", "-out", directory + "/ca.crt"}));
  RETURN_IF_ERROR(MakeCertificate(directory, "server", "subjectAltName=DNS:localhost,IP:127.0.0.1\n"));
  return MakeCertificate(directory, "client", "extendedKeyUsage=clientAuth\n");
}

absl::StatusOr<RegistryServer> RegistryServer::Start(const std::string& directory,
                                                     const RegistryServerOptions& options) {
  RETURN_IF_ERROR(MakeDirs(directory));
  RETURN_IF_ERROR(WriteFileAtomic(directory + "/htpasswd", kHtpasswd, 0644, Durability::kVolatile));
  RETURN_IF_ERROR(
      WriteFileAtomic(directory + "/config.yml", Configuration(directory, options), 0644, Durability::kVolatile));
  RegistryServer server;
  server.host_ = absl::StrCat("127.0.0.1:", options.port);
  server.log_ = directory + "/log";
  ASSIGN_OR_RETURN(server.process_,
                   DaemonProcess::Start({"/usr/bin/docker-registry", "serve", directory + "/config.yml"},
                                        directory + "/log", {"OTEL_TRACES_EXPORTER=none"}));
  for (const absl::Time end = absl::Now() + absl::Seconds(60); !Accepts(options.port);) {
    if (absl::Now() >= end) {
      return absl::DeadlineExceededError(
          absl::StrCat("docker-registry does not serve: ", ReadFile(directory + "/log").value_or("")));
    }
    absl::SleepFor(absl::Milliseconds(20));
  }
  return server;
}

}  // namespace berth
