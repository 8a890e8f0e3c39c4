#include "plugins/registry_oci/http_client.h"

#include <curl/curl.h>
#include <time.h>

#include <algorithm>
#include <optional>

#include "plugins/registry_oci/proxy.h"
#include "plugins/registry_oci/text.h"

namespace berth::registry_oci {
namespace {

constexpr size_t kMaxHeaderBytes = 256 << 10;
constexpr size_t kMaxIdle = 16;
constexpr long kBufferBytes = 128 << 10;
constexpr int64_t kNanosPerMilli = 1'000'000;

int64_t MonotonicNanos() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

// Once for the process, which never unloads the library: others in it may use it, too.
bool InitialiseCurl() {
  static const bool ok = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return ok;
}

class HeaderList {
 public:
  HeaderList() = default;
  ~HeaderList() { curl_slist_free_all(list_); }
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;

  bool Add(const std::string& line) {
    curl_slist* longer = curl_slist_append(list_, line.c_str());
    if (longer != nullptr) list_ = longer;
    return longer != nullptr;
  }
  curl_slist* get() const { return list_; }

 private:
  curl_slist* list_ = nullptr;
};

bool IsFinal(int status) { return status >= 200; }

// The address of `name` is looked up, a connection and TLS set up: none of it has come about.
bool IsConnectFailure(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_PROXY:
      return true;
    default:
      return false;
  }
}

sdk::Code CodeOf(CURLcode code) {
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_UNSUPPORTED_PROTOCOL:  // an answer that is not HTTP
    case CURLE_WEIRD_SERVER_REPLY:
      return sdk::Code::kFailedPrecondition;
    case CURLE_OUT_OF_MEMORY:
      return sdk::Code::kResourceExhausted;
    default:
      return sdk::Code::kUnavailable;
  }
}

}  // namespace

std::string HttpResponse::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

// A handle with the connections it keeps. Used by one thread at a time.
class HttpClient::Connection {
 public:
  explicit Connection(std::string origin)
      : origin_(std::move(origin)), multi_(curl_multi_init()), easy_(curl_easy_init()) {}
  ~Connection() {
    if (easy_ != nullptr) curl_easy_cleanup(easy_);
    if (multi_ != nullptr) curl_multi_cleanup(multi_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool ok() const { return multi_ != nullptr && easy_ != nullptr; }
  const std::string& origin() const { return origin_; }

  HttpOutcome Perform(const sdk::Call& call, const HttpRequest& request, const Receiver& receiver,
                      const Options& options) {
    receiver_ = &receiver;
    outcome_ = {};
    head_told_ = false;
    header_bytes_ = 0;
    failure_ = {};
    error_text_[0] = '\0';
    curl_easy_reset(easy_);
    if (!Prepare(request, options) || curl_multi_add_handle(multi_, easy_) != CURLM_OK) {
      outcome_.status = sdk::ResourceExhausted("prepare an HTTP request: out of memory");
      return std::move(outcome_);
    }
    CURLcode code = CURLE_OK;
    const sdk::Status ended = Drive(call, options, &code);
    curl_multi_remove_handle(multi_, easy_);
    Judge(request, ended, code);
    return std::move(outcome_);
  }

 private:
  template <class T>
  void Set(CURLoption option, T value) {
    prepared_ = prepared_ && curl_easy_setopt(easy_, option, value) == CURLE_OK;
  }

  bool Prepare(const HttpRequest& request, const Options& options) {
    prepared_ = true;
    Set(CURLOPT_ERRORBUFFER, error_text_);
    Set(CURLOPT_NOSIGNAL, 1L);
    Set(CURLOPT_PROTOCOLS_STR, "http,https");
    Set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    Set(CURLOPT_PATH_AS_IS, 1L);
    Set(CURLOPT_FOLLOWLOCATION, 0L);
    Set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
    Set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    Set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout_ms));
    Set(CURLOPT_TCP_KEEPALIVE, 1L);
    Set(CURLOPT_BUFFERSIZE, kBufferBytes);
    Set(CURLOPT_USERAGENT, options.user_agent.c_str());
    Set(CURLOPT_URL, request.url.ToString().c_str());
    SetTls(request.tls);
    const Proxy proxy = ProxyFor(request.url);
    Set(CURLOPT_PROXY, proxy.url.c_str());  // "": also none from the environment
    Set(CURLOPT_NOPROXY, proxy.except_for.c_str());
    headers_.emplace();
    for (const auto* headers : {&request.headers, &request.secret_headers}) {
      for (const auto& [name, value] : *headers) prepared_ = prepared_ && headers_->Add(name + ": " + value);
    }
    if (!request.form.empty()) {
      Set(CURLOPT_POSTFIELDSIZE, static_cast<long>(request.form.size()));
      Set(CURLOPT_COPYPOSTFIELDS, request.form.c_str());
      prepared_ = prepared_ && headers_->Add("Expect:");  // no 100-continue
    }
    Set(CURLOPT_HTTPHEADER, headers_->get());
    Set(CURLOPT_HEADERFUNCTION, &OnHeader);
    Set(CURLOPT_HEADERDATA, this);
    Set(CURLOPT_WRITEFUNCTION, &OnBody);
    Set(CURLOPT_WRITEDATA, this);
    return prepared_;
  }

  void SetTls(const TlsOptions& tls) {
    Set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (tls.skip_verify) {
      Set(CURLOPT_SSL_VERIFYPEER, 0L);
      Set(CURLOPT_SSL_VERIFYHOST, 0L);
    } else if (!tls.ca_pem.empty()) {
      // In place of the system's bundle; the system's directory of the same certificates stays.
      curl_blob blob{const_cast<char*>(tls.ca_pem.data()), tls.ca_pem.size(), CURL_BLOB_COPY};
      Set(CURLOPT_CAINFO_BLOB, &blob);
    }
    if (tls.client_cert.empty()) return;
    Set(CURLOPT_SSLCERT, tls.client_cert.c_str());
    Set(CURLOPT_SSLKEY, tls.client_key.empty() ? tls.client_cert.c_str() : tls.client_key.c_str());
  }

  // Until the transfer has ended (then `code` says how), or a reason to give it up.
  sdk::Status Drive(const sdk::Call& call, const Options& options, CURLcode* code) {
    curl_waitfd cancel{call.cancel_fd, CURL_WAIT_POLLIN, 0};
    bytes_ = 0;
    busy_ns_ = 0;
    int64_t window_begin = MonotonicNanos();
    for (;;) {
      int running = 0;
      if (curl_multi_perform(multi_, &running) != CURLM_OK) return sdk::Internal("libcurl refuses to go on");
      int left = 0;
      while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
        if (message->msg != CURLMSG_DONE) continue;
        *code = message->data.result;
        return {};
      }
      BERTH_RETURN_IF_ERROR(call.Check());
      const int64_t waited = (MonotonicNanos() - window_begin - busy_ns_) / kNanosPerMilli;
      if (waited >= options.stall_ms) {
        const int64_t wanted = options.min_bytes_per_second * options.stall_ms / 1000;
        if (static_cast<int64_t>(bytes_) < wanted) {
          return sdk::Unavailable("the transfer stalls: " + std::to_string(bytes_) + " bytes in " +
                                  std::to_string(options.stall_ms / 1000) + " s");
        }
        bytes_ = 0;
        busy_ns_ = 0;
        window_begin = MonotonicNanos();
      }
      const int64_t timeout = std::clamp<int64_t>(options.stall_ms - waited, 1, 1000);
      const unsigned extra = call.cancel_fd >= 0 ? 1 : 0;
      if (curl_multi_poll(multi_, &cancel, extra, static_cast<int>(timeout), nullptr) != CURLM_OK) {
        return sdk::Internal("libcurl cannot wait");
      }
    }
  }

  void Judge(const HttpRequest& request, const sdk::Status& ended, CURLcode code) {
    if (!ended.ok()) {
      outcome_.status = sdk::Annotate(ended, request.url.Shown());
    } else if (!failure_.ok()) {
      outcome_.status = failure_;
    } else if (code != CURLE_OK) {
      const std::string why = error_text_[0] != '\0' ? error_text_ : curl_easy_strerror(code);
      outcome_.status = sdk::Status(CodeOf(code), request.url.Shown() + ": " + Printable(Trimmed(why)));
      outcome_.unreachable = IsConnectFailure(code) || code == CURLE_OPERATION_TIMEDOUT;
      outcome_.not_tls = code == CURLE_SSL_CONNECT_ERROR;
    } else if (!head_told_ && TellHead()) {
      outcome_.status = failure_;
    }
  }

  // A response without a body.
  bool TellHead() {
    head_told_ = true;
    failure_ = receiver_->head(outcome_.response);
    return !failure_.ok();
  }

  static size_t OnHeader(char* data, size_t, size_t size, void* self) {
    return static_cast<Connection*>(self)->TakeHeader(std::string_view(data, size)) ? size : CURL_WRITEFUNC_ERROR;
  }
  bool TakeHeader(std::string_view line) {
    bytes_ += line.size();
    header_bytes_ += line.size();
    if (header_bytes_ > kMaxHeaderBytes) {
      failure_ = sdk::Status(sdk::Code::kResourceExhausted, "the response has more than 256 KiB of header fields");
      return false;
    }
    if (line.starts_with("HTTP/")) {
      outcome_.response = {};
      long status = 0;
      curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
      outcome_.response.status = static_cast<int>(status);
      return true;
    }
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos && IsFinal(outcome_.response.status)) {
      outcome_.response.headers.emplace_back(Lowered(line.substr(0, colon)),
                                             std::string(Trimmed(line.substr(colon + 1))));
    }
    return true;
  }

  static size_t OnBody(char* data, size_t, size_t size, void* self) {
    return static_cast<Connection*>(self)->TakeBody(std::string_view(data, size)) ? size : CURL_WRITEFUNC_ERROR;
  }
  bool TakeBody(std::string_view data) {
    bytes_ += data.size();
    if (!head_told_ && TellHead()) return false;
    const int64_t begin = MonotonicNanos();
    failure_ = receiver_->body(data);
    busy_ns_ += MonotonicNanos() - begin;
    return failure_.ok();
  }

  const std::string origin_;
  CURLM* const multi_;
  CURL* const easy_;

  // Of the exchange under way:
  const Receiver* receiver_ = nullptr;
  HttpOutcome outcome_;
  std::optional<HeaderList> headers_;
  bool prepared_ = false, head_told_ = false;
  size_t header_bytes_ = 0;
  uint64_t bytes_ = 0;   // in this window
  int64_t busy_ns_ = 0;  // the receiver, in this window
  sdk::Status failure_;  // the receiver's
  char error_text_[CURL_ERROR_SIZE] = {};
};

HttpClient::HttpClient(Options options) : options_(std::move(options)) {}

HttpClient::~HttpClient() = default;

std::unique_ptr<HttpClient::Connection> HttpClient::Take(const std::string& origin) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto it = idle_.rbegin(); it != idle_.rend(); ++it) {
    if ((*it)->origin() != origin) continue;
    std::unique_ptr<Connection> found = std::move(*it);
    idle_.erase(std::next(it).base());
    return found;
  }
  return std::make_unique<Connection>(origin);
}

void HttpClient::GiveBack(std::unique_ptr<Connection> connection) {
  const std::lock_guard<std::mutex> lock(mutex_);
  idle_.push_back(std::move(connection));
  if (idle_.size() > kMaxIdle) idle_.erase(idle_.begin());
}

HttpOutcome HttpClient::Perform(const sdk::Call& call, const HttpRequest& request, const Receiver& receiver) {
  HttpOutcome outcome;
  outcome.status = call.Check();
  if (!outcome.status.ok()) return outcome;
  if (!InitialiseCurl()) {
    outcome.status = sdk::Internal("libcurl cannot be initialised");
    return outcome;
  }
  std::unique_ptr<Connection> connection = Take(request.url.Origin());
  if (!connection->ok()) {
    outcome.status = sdk::ResourceExhausted("make an HTTP handle: out of memory");
    return outcome;
  }
  outcome = connection->Perform(call, request, receiver, options_);
  GiveBack(std::move(connection));
  return outcome;
}

}  // namespace berth::registry_oci
