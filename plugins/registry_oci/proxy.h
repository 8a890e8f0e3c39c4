// Proxies as the usual environment variables name them.
#ifndef BERTH_PLUGINS_REGISTRY_OCI_PROXY_H_
#define BERTH_PLUGINS_REGISTRY_OCI_PROXY_H_

#include <string>

#include "plugins/registry_oci/url.h"

namespace berth::registry_oci {

struct Proxy {
  std::string url;         // may hold a password: never part of a message. "": none
  std::string except_for;  // for CURLOPT_NOPROXY
};

// HTTP_PROXY or HTTPS_PROXY, by the URL's scheme, and NO_PROXY, in upper or lower case. Never one for a loopback host.
Proxy ProxyFor(const Url& url);

}  // namespace berth::registry_oci

#endif  // BERTH_PLUGINS_REGISTRY_OCI_PROXY_H_
