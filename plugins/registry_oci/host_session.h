// One server that serves a repository, for the time of one pull.
#ifndef BERTH_PLUGINS_REGISTRY_OCI_HOST_SESSION_H_
#define BERTH_PLUGINS_REGISTRY_OCI_HOST_SESSION_H_

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "berth/sdk/call.h"
#include "plugins/registry_oci/authorizer.h"
#include "plugins/registry_oci/exchange.h"
#include "plugins/registry_oci/http_client.h"
#include "plugins/registry_oci/login.h"
#include "plugins/registry_oci/registry_host.h"

namespace berth::registry_oci {

// Thread-safe.
class HostSession {
 public:
  // `registry`: the host in the reference. What is given by reference outlives this.
  HostSession(HttpClient& client, RegistryHost host, const Login& login, std::string registry, std::string repository)
      : client_(client),
        host_(std::move(host)),
        registry_(std::move(registry)),
        repository_(repository),
        authorizer_(client, host_, login, std::move(repository)) {}

  const RegistryHost& host() const { return host_; }
  // No connection came about the last time.
  bool down() const { return down_.load(std::memory_order_relaxed); }

  using Headers = std::vector<std::pair<std::string, std::string>>;
  // GET of `resource` ("manifests/latest") of the repository, with what the server wants to see and where it points to.
  Reply Get(const sdk::Call& call, const std::string& resource, const Headers& headers,
            const HttpClient::Receiver& receiver);

 private:
  HttpRequest RequestFor(const std::string& resource, const Headers& headers) const;
  Reply Once(const sdk::Call& call, const std::string& resource, const Headers& headers,
             const HttpClient::Receiver& receiver);

  HttpClient& client_;
  const RegistryHost host_;
  const std::string registry_, repository_;
  Authorizer authorizer_;
  std::atomic<bool> down_{false};
  std::atomic<bool> plain_{false};  // host_.http_fallback: it does not speak TLS
};

}  // namespace berth::registry_oci

#endif  // BERTH_PLUGINS_REGISTRY_OCI_HOST_SESSION_H_
