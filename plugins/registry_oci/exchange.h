// A request with its redirects followed, and what its answer means.
#ifndef BERTH_PLUGINS_REGISTRY_OCI_EXCHANGE_H_
#define BERTH_PLUGINS_REGISTRY_OCI_EXCHANGE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "berth/sdk/call.h"
#include "berth/sdk/status.h"
#include "plugins/registry_oci/auth_challenge.h"
#include "plugins/registry_oci/http_client.h"

namespace berth::registry_oci {

struct Reply {
  sdk::Status status;     // OK: an answer with a status of 2xx was received by the receiver
  HttpResponse response;  // the last one; status 0: there was none
  int64_t retry_after_ms = 0;
  bool own_origin = true;   // the answer is the asked server's own, not that of one it pointed to
  bool body_begun = false;  // the receiver has got bytes
  bool unreachable = false, not_tls = false;

  // Of an answer 401 of the server itself.
  std::vector<AuthChallenge> Challenges() const;
};

// At most ten redirects (of GET only), never from https to http. What is secret (headers, client certificate) goes to
// the origin of `request` alone. Other answers than 2xx become: 401 kUnauthenticated, 403 kPermissionDenied, 404
// kNotFound, 408, 429 and 5xx kUnavailable, 416 kOutOfRange, the rest kFailedPrecondition; with what the server says
// about it (distribution-spec "Error codes").
Reply Follow(HttpClient& client, const sdk::Call& call, HttpRequest request, const HttpClient::Receiver& receiver);

// The value of Retry-After (RFC 9110 section 10.2.3), as milliseconds from now: 0 when it is none.
int64_t RetryAfterMs(const std::string& field);

}  // namespace berth::registry_oci

#endif  // BERTH_PLUGINS_REGISTRY_OCI_EXCHANGE_H_
