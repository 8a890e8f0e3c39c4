#include "plugins/registry_oci/authorizer.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "plugins/json/bounded_json.h"
#include "plugins/registry_oci/text.h"

namespace berth::registry_oci {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

constexpr size_t kMaxTokenAnswer = 1 << 20, kMaxScopes = 8;
constexpr char kClientId[] = "berth";

sdk::Status Unauthenticated(std::string text) { return {sdk::Code::kUnauthenticated, std::move(text)}; }

const AuthChallenge* Find(const std::vector<AuthChallenge>& challenges, std::string_view scheme) {
  const auto it = std::find_if(challenges.begin(), challenges.end(),
                               [scheme](const AuthChallenge& challenge) { return challenge.scheme == scheme; });
  return it == challenges.end() ? nullptr : &*it;
}

std::string BasicHeader(const std::string& username, const std::string& password) {
  return "Basic " + Base64(username + ":" + password);
}

bool IsVisible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

// The token in the answer of a token server; it becomes part of a header field.
sdk::Result<std::string> TokenIn(const std::string& body) {
  const auto answer = json::Parse(body, "the answer of the token server", kMaxTokenAnswer);
  if (!answer.ok()) return answer.status();
  std::string token = json::StringMember(*answer, "token");
  if (token.empty()) token = json::StringMember(*answer, "access_token");
  if (token.empty() || !IsVisible(token)) return sdk::FailedPrecondition("the token server answers without a token");
  return token;
}

}  // namespace

std::vector<std::string> PullScopes(const std::string& scope, const std::string& repository) {
  std::vector<std::string> out;
  std::istringstream words(scope);
  for (std::string word; words >> word && out.size() < kMaxScopes;) {
    const size_t colon = word.rfind(':');
    if (!word.starts_with("repository:") || colon < 11 || !IsVisible(word)) continue;
    std::istringstream actions(word.substr(colon + 1));
    for (std::string action; std::getline(actions, action, ',');) {
      if (action != "pull") continue;
      out.push_back(word.substr(0, colon) + ":pull");
      break;
    }
  }
  if (out.empty()) out.push_back("repository:" + repository + ":pull");
  return out;
}

std::string Authorizer::Header() const {
  if (!login_.registry_token.empty()) return "Bearer " + login_.registry_token;
  const std::lock_guard<std::mutex> lock(mutex_);
  return header_;
}

sdk::Result<std::string> Authorizer::Answer(const sdk::Call& call, bool tls, const std::string& used,
                                            const std::vector<AuthChallenge>& challenges, int64_t* retry_after_ms) {
  if (!login_.registry_token.empty()) return Unauthenticated("the registry_token of the credentials is refused");
  const std::lock_guard<std::mutex> lock(mutex_);
  if (header_ != used) return header_;  // another thread has done it meanwhile
  if (const AuthChallenge* bearer = Find(challenges, "bearer"); bearer != nullptr) {
    BERTH_ASSIGN_OR_RETURN(const std::string token, FetchToken(call, tls, *bearer, retry_after_ms));
    header_ = "Bearer " + token;
    return header_;
  }
  if (Find(challenges, "basic") == nullptr) {
    return Unauthenticated("the registry asks for neither Basic nor Bearer authentication");
  }
  if (!login_.HasPassword()) return Unauthenticated("the registry asks for a user name and password, there is none");
  const std::string header = BasicHeader(login_.username, login_.password);
  if (used == header) return Unauthenticated("the user name or password is refused");
  header_ = header;
  return header_;
}

sdk::Result<std::string> Authorizer::FetchToken(const sdk::Call& call, bool tls, const AuthChallenge& challenge,
                                                int64_t* retry_after_ms) {
  sdk::Result<Url> realm = ParseUrl(challenge.Param("realm"));
  if (!realm.ok()) return sdk::Status(sdk::Code::kFailedPrecondition, "token server: " + realm.status().message());
  if (tls && realm->scheme != "https" && !login_.empty()) {
    return sdk::FailedPrecondition("the registry names the token server " + realm->Shown() +
                                   ": credentials are not sent there without TLS");
  }
  HttpRequest request;
  request.url = *realm;
  request.tls = host_.tls;
  request.connect_timeout_ms = host_.connect_timeout_ms;
  if (realm->Origin() != host_.base.Origin()) request.tls.client_cert.clear();

  Fields fields;
  const std::string service = challenge.Param("service");
  if (!service.empty()) fields.emplace_back("service", service);
  const std::vector<std::string> scopes = PullScopes(challenge.Param("scope"), repository_);

  Reply reply;
  if (!login_.identity_token.empty()) {
    Fields form = fields;
    form.emplace_back("grant_type", "refresh_token");
    form.emplace_back("refresh_token", login_.identity_token);
    form.emplace_back("client_id", kClientId);
    std::string all;
    for (const std::string& scope : scopes) all += (all.empty() ? "" : " ") + scope;
    form.emplace_back("scope", all);
    HttpRequest post = request;
    post.form = FormEncoded(form);
    sdk::Result<std::string> token = Ask(call, std::move(post), &reply);
    // Servers without the OAuth2 form answer like this; the other form takes the token as a password.
    const int status = reply.response.status;
    if (token.ok() || (status != 404 && status != 405)) {
      *retry_after_ms = reply.retry_after_ms;
      return token;
    }
  }
  for (const std::string& scope : scopes) fields.emplace_back("scope", scope);
  if (login_.HasPassword() && !login_.username.empty()) fields.emplace_back("account", login_.username);
  request.url.query += (request.url.query.empty() ? "" : "&") + FormEncoded(fields);
  const std::string secret = login_.identity_token.empty() ? login_.password : login_.identity_token;
  if (!login_.empty()) request.secret_headers.emplace_back("Authorization", BasicHeader(login_.username, secret));
  sdk::Result<std::string> token = Ask(call, std::move(request), &reply);
  *retry_after_ms = reply.retry_after_ms;
  return token;
}

sdk::Result<std::string> Authorizer::Ask(const sdk::Call& call, HttpRequest request, Reply* reply) {
  std::string body;
  const HttpClient::Receiver receiver = {
      [](const HttpResponse&) { return sdk::Status(); },
      [&body](std::string_view data) {
        body.append(data);
        return body.size() <= kMaxTokenAnswer
                   ? sdk::Status()
                   : sdk::FailedPrecondition("the token server answers with more than 1 MiB");
      }};
  *reply = Follow(client_, call, std::move(request), receiver);
  BERTH_RETURN_IF_ERROR(sdk::Annotate(reply->status, "get a token"));
  return TokenIn(body);
}

}  // namespace berth::registry_oci
