#include "plugins/registry_oci/host_session.h"

#include <algorithm>

#include "plugins/registry_oci/text.h"

namespace berth::registry_oci {
namespace {

// A token may be refused once because it has expired.
constexpr int kMaxAnswers = 2;

}  // namespace

HttpRequest HostSession::RequestFor(const std::string& resource, const Headers& headers) const {
  HttpRequest request;
  request.url = host_.base;
  // Without TLS a port that nobody has named is the other one.
  if (plain_ && request.url.port == "443") request.url.port = "80";
  if (plain_) request.url.scheme = "http";
  request.url.path += "/" + repository_ + "/" + resource;
  if (host_.mirror) request.url.query = FormEncoded({{"ns", registry_}});
  request.headers = headers;
  request.secret_headers = host_.headers;
  request.tls = host_.tls;
  request.connect_timeout_ms = host_.connect_timeout_ms;
  return request;
}

Reply HostSession::Once(const sdk::Call& call, const std::string& resource, const Headers& headers,
                        const HttpClient::Receiver& receiver) {
  // What the operator has put there is not replaced.
  const bool configured = std::any_of(host_.headers.begin(), host_.headers.end(), [](const auto& header) {
    return EqualsIgnoringCase(header.first, "authorization");
  });
  std::string authorization = configured ? "" : authorizer_.Header();
  for (int answers = 0;; ++answers) {
    HttpRequest request = RequestFor(resource, headers);
    const bool tls = request.url.scheme == "https";
    if (!authorization.empty()) request.secret_headers.emplace_back("Authorization", authorization);
    Reply reply = Follow(client_, call, std::move(request), receiver);
    const std::vector<AuthChallenge> challenges = reply.Challenges();
    if (challenges.empty() || configured || answers == kMaxAnswers) return reply;
    int64_t retry_after_ms = 0;
    sdk::Result<std::string> answer = authorizer_.Answer(call, tls, authorization, challenges, &retry_after_ms);
    if (!answer.ok()) {
      reply.status = answer.status().code() == sdk::Code::kUnauthenticated
                         ? sdk::Annotate(answer.status(), reply.status.message())
                         : sdk::Annotate(answer.status(), host_.base.Shown());
      reply.retry_after_ms = retry_after_ms;
      return reply;
    }
    authorization = *std::move(answer);
  }
}

Reply HostSession::Get(const sdk::Call& call, const std::string& resource, const Headers& headers,
                       const HttpClient::Receiver& receiver) {
  Reply reply = Once(call, resource, headers, receiver);
  if (reply.not_tls && host_.http_fallback && !plain_) {
    plain_ = true;
    reply = Once(call, resource, headers, receiver);
  }
  down_ = reply.unreachable;
  return reply;
}

}  // namespace berth::registry_oci
