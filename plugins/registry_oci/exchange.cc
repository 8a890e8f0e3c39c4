#include "plugins/registry_oci/exchange.h"

#include <curl/curl.h>

#include <algorithm>
#include <ctime>

#include "plugins/json/bounded_json.h"
#include "plugins/registry_oci/text.h"

namespace berth::registry_oci {
namespace {

constexpr int kMaxRedirects = 10;
constexpr size_t kMaxErrorBody = 16 << 10;

bool IsRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}
bool IsSuccess(int status) { return status >= 200 && status < 300; }

sdk::Code CodeOf(int status) {
  switch (status) {
    case 401:
      return sdk::Code::kUnauthenticated;
    case 403:
      return sdk::Code::kPermissionDenied;
    case 404:
      return sdk::Code::kNotFound;
    case 408:
    case 429:
      return sdk::Code::kUnavailable;
    case 416:
      return sdk::Code::kOutOfRange;
    default:
      return status >= 500 ? sdk::Code::kUnavailable : sdk::Code::kFailedPrecondition;
  }
}

const char* PhraseOf(int status) {
  switch (status) {
    case 401:
      return " Unauthorized";
    case 403:
      return " Forbidden";
    case 404:
      return " Not Found";
    case 429:
      return " Too Many Requests";
    case 500:
      return " Internal Server Error";
    case 502:
      return " Bad Gateway";
    case 503:
      return " Service Unavailable";
    case 504:
      return " Gateway Timeout";
    default:
      return "";
  }
}

// {"errors": [{"code": "DENIED", "message": "..."}]}, or a token server's {"error": ..., "error_description": ...}.
std::string Explanation(const std::string& body) {
  const auto parsed = json::Parse(body, "", kMaxErrorBody);
  if (!parsed.ok() || !parsed->is_object()) return "";
  std::string code = json::StringMember(*parsed, "error"), text = json::StringMember(*parsed, "error_description");
  if (const auto& errors = json::ArrayMember(*parsed, "errors"); !errors.empty() && errors[0].is_object()) {
    code = json::StringMember(errors[0], "code");
    text = json::StringMember(errors[0], "message");
  }
  if (code.empty() && text.empty()) text = json::StringMember(*parsed, "details");
  return Printable(code + (code.empty() || text.empty() ? "" : ": ") + text);
}

// Hands on the body of a success and keeps the beginning of any other.
class Sorter {
 public:
  Sorter(const HttpClient::Receiver& receiver, Reply* reply) : receiver_(receiver), reply_(reply) {}

  HttpClient::Receiver receiver() {
    return {[this](const HttpResponse& head) {
              success_ = IsSuccess(head.status);
              return success_ ? receiver_.head(head) : sdk::Status();
            },
            [this](std::string_view data) {
              if (success_) {
                reply_->body_begun = true;
                return receiver_.body(data);
              }
              // An answer that does not end is cut; what it says has been heard by then.
              if (discarded_ += data.size(); discarded_ > kMaxErrorBody * 4) return sdk::Internal(kTooLong);
              other_.append(data.substr(0, kMaxErrorBody - std::min(kMaxErrorBody, other_.size())));
              return sdk::Status();
            }};
  }
  const std::string& other() const { return other_; }
  static bool IsCut(const sdk::Status& status) { return status.message() == kTooLong; }

 private:
  static constexpr char kTooLong[] = "the body of an error is too long";
  const HttpClient::Receiver& receiver_;
  Reply* const reply_;
  std::string other_;
  size_t discarded_ = 0;
  bool success_ = false;
};

// Turns `request` into the one that the answer points to.
sdk::Status Redirect(const HttpResponse& response, HttpRequest* request) {
  const std::string location = response.Header("location");
  if (location.empty()) return sdk::FailedPrecondition("a redirect without Location");
  sdk::Result<Url> next = ResolveUrl(request->url, location);
  if (!next.ok()) return sdk::Status(sdk::Code::kFailedPrecondition, "a redirect to " + next.status().message());
  if (request->url.scheme == "https" && next->scheme != "https") {
    return sdk::FailedPrecondition("a redirect from https to " + next->Shown() + " is not followed");
  }
  if (next->Origin() != request->url.Origin()) {
    request->secret_headers.clear();
    request->tls.client_cert.clear();
    request->tls.client_key.clear();
  }
  request->url = *std::move(next);
  return {};
}

}  // namespace

std::vector<AuthChallenge> Reply::Challenges() const {
  std::vector<AuthChallenge> out;
  if (response.status != 401 || !own_origin) return out;
  for (const auto& [name, value] : response.headers) {
    if (name != "www-authenticate") continue;
    for (AuthChallenge& challenge : ParseChallenges(value)) out.push_back(std::move(challenge));
  }
  return out;
}

int64_t RetryAfterMs(const std::string& field) {
  if (field.empty() || field.size() > 64) return 0;
  if (field.find_first_not_of("0123456789") == std::string::npos) {
    return field.size() > 9 ? 1'000'000'000'000 : std::stoll(field) * 1000;
  }
  const time_t at = curl_getdate(field.c_str(), nullptr);
  const time_t now = time(nullptr);
  return at <= now ? 0 : static_cast<int64_t>(at - now) * 1000;
}

Reply Follow(HttpClient& client, const sdk::Call& call, HttpRequest request, const HttpClient::Receiver& receiver) {
  Reply reply;
  const std::string origin = request.url.Origin();
  for (int redirects = 0;; ++redirects) {
    Sorter sorter(receiver, &reply);
    HttpOutcome outcome = client.Perform(call, request, sorter.receiver());
    if (Sorter::IsCut(outcome.status)) outcome.status = {};
    reply.status = std::move(outcome.status);
    reply.response = std::move(outcome.response);
    reply.own_origin = request.url.Origin() == origin;
    reply.unreachable = outcome.unreachable && reply.own_origin;
    reply.not_tls = outcome.not_tls && reply.own_origin;
    const int status = reply.response.status;
    if (!reply.status.ok() || IsSuccess(status)) return reply;
    if (IsRedirect(status) && request.form.empty()) {
      if (redirects == kMaxRedirects) {
        reply.status = sdk::FailedPrecondition("more than ten redirects, the last to " + request.url.Shown());
        return reply;
      }
      reply.status = Redirect(reply.response, &request);
      if (reply.status.ok()) continue;
      return reply;
    }
    reply.retry_after_ms = RetryAfterMs(reply.response.Header("retry-after"));
    const std::string why = Explanation(sorter.other());
    reply.status = sdk::Status(CodeOf(status), request.url.Shown() + ": " + std::to_string(status) + PhraseOf(status) +
                                                   (why.empty() ? "" : ": " + why));
    return reply;
  }
}

}  // namespace berth::registry_oci
