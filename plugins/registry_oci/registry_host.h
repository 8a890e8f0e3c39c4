// Which servers to ask for the images of a registry: from the hosts directory that containerd uses too, read anew for
// each pull.
#ifndef BERTH_PLUGINS_REGISTRY_OCI_REGISTRY_HOST_H_
#define BERTH_PLUGINS_REGISTRY_OCI_REGISTRY_HOST_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "berth/sdk/status.h"
#include "plugins/registry_oci/http_client.h"
#include "plugins/registry_oci/url.h"

namespace berth::registry_oci {

struct RegistryHost {
  Url base;  // with the prefix of the API in its path: "/v2", or what override_path says
  bool pull = true, resolve = true;
  bool mirror = false;         // not the registry itself: is told by ?ns= whose images are wanted
  bool http_fallback = false;  // where it does not speak TLS it may be spoken to without
  TlsOptions tls;
  std::vector<std::pair<std::string, std::string>> headers;
  int64_t connect_timeout_ms = 30'000;
};

struct HostSearch {
  std::vector<std::string> roots;  // "/etc/containerd/certs.d"; need not exist
  int64_t connect_timeout_ms = 30'000;
  std::function<void(const std::string&)> warn;
};

// The servers for `registry` ("docker.io", "localhost:5000"), in the order to ask them; never empty. Of the roots'
// directories REGISTRY, `_default` and, with a port, HOST_PORT_ the first counts: its hosts.toml, or else the *.crt,
// *.cert and *.key in it. Without any, the registry itself is asked over https; a loopback host without checking its
// certificate and, when it does not speak TLS, over http. Errors name the file.
sdk::Result<std::vector<RegistryHost>> FindHosts(const HostSearch& search, const std::string& registry);

}  // namespace berth::registry_oci

#endif  // BERTH_PLUGINS_REGISTRY_OCI_REGISTRY_HOST_H_
