#include "plugins/registry_oci/proxy.h"

#include <cstdlib>

#include "plugins/registry_oci/image_reference.h"

namespace berth::registry_oci {
namespace {

// libcurl itself reads http_proxy in lower case only: a CGI program gets HTTP_PROXY from its clients. This is none.
std::string Variable(const char* upper, const char* lower) {
  const char* value = getenv(upper);
  if (value == nullptr || *value == '\0') value = getenv(lower);
  return value == nullptr ? "" : value;
}

}  // namespace

Proxy ProxyFor(const Url& url) {
  if (IsLoopback(url.host)) return {};
  Proxy proxy;
  proxy.url = url.scheme == "https" ? Variable("HTTPS_PROXY", "https_proxy") : Variable("HTTP_PROXY", "http_proxy");
  if (!proxy.url.empty()) proxy.except_for = Variable("NO_PROXY", "no_proxy");
  return proxy;
}

}  // namespace berth::registry_oci
