// http and https URLs, by libcurl's own parser, so that what is checked is what is connected to.
#ifndef BERTH_PLUGINS_REGISTRY_OCI_URL_H_
#define BERTH_PLUGINS_REGISTRY_OCI_URL_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/sdk/status.h"

namespace berth::registry_oci {

struct Url {
  std::string scheme;  // "http" or "https"
  std::string host;    // lower case; an IPv6 address in brackets
  std::string port;    // always there
  std::string path;    // "" or begins with '/'; as it was escaped
  std::string query;   // without '?'

  // scheme://host:port: two URLs with one origin are one server, which may see the same secrets.
  std::string Origin() const { return scheme + "://" + host + ":" + port; }
  // For requests.
  std::string ToString() const;
  // For messages: without the query, where signed URLs have their secrets.
  std::string Shown() const;
  // HOST, or HOST:PORT when the port is not the scheme's own.
  std::string Authority() const;
};

// kInvalidArgument for what is no URL, another scheme, a user name in it, or more than 16 KiB.
sdk::Result<Url> ParseUrl(std::string_view text);

// `location` as a redirect of `base` means it: absolute or relative (RFC 9110 section 10.2.2).
sdk::Result<Url> ResolveUrl(const Url& base, std::string_view location);

// application/x-www-form-urlencoded: for queries and for bodies of POST.
std::string FormEncoded(const std::vector<std::pair<std::string, std::string>>& fields);

}  // namespace berth::registry_oci

#endif  // BERTH_PLUGINS_REGISTRY_OCI_URL_H_
