// One HTTP exchange at a time over libcurl: no redirects, no cookies, no decoding, nothing that is not asked for.
// Connections are kept and used again; HTTP/2 is spoken where a TLS server offers it.
#ifndef BERTH_PLUGINS_REGISTRY_OCI_HTTP_CLIENT_H_
#define BERTH_PLUGINS_REGISTRY_OCI_HTTP_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/sdk/call.h"
#include "berth/sdk/status.h"
#include "plugins/registry_oci/url.h"

namespace berth::registry_oci {

struct TlsOptions {
  std::string ca_pem;                   // certificates trusted beside the system's; "": none
  std::string client_cert, client_key;  // PEM files; "": none. The key may be in the certificate's file
  bool skip_verify = false;
};

struct HttpRequest {
  Url url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<std::pair<std::string, std::string>> secret_headers;  // for this URL's origin only
  std::string form;                                                 // a body for POST; "": GET
  TlsOptions tls;
  int64_t connect_timeout_ms = 30'000;
};

struct HttpResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case

  // The first of that name (in lower case), or "".
  std::string Header(std::string_view name) const;
};

// What became of a request. With an OK status `response` is whole and its body has been delivered.
struct HttpOutcome {
  sdk::Status status;
  HttpResponse response;
  bool unreachable = false;  // no connection came about
  bool not_tls = false;      // because the server does not speak TLS
};

// Thread-safe.
class HttpClient {
 public:
  struct Options {
    // A transfer with fewer bytes than this, on average over a window, is given up. Time in which the body's receiver
    // is busy does not count.
    int64_t min_bytes_per_second = 1024;
    int64_t stall_ms = 60'000;  // the window
    std::string user_agent = "berth";
  };

  explicit HttpClient(Options options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Gets the body of the final response as it comes; decides by its head whether it wants it.
  struct Receiver {
    std::function<sdk::Status(const HttpResponse& head)> head;
    std::function<sdk::Status(std::string_view data)> body;
  };
  // Blocks until the response is complete, fails, or `call` is given up. An error of the receiver's ends the exchange
  // and is returned as it is. kUnavailable: worth another try. kInvalidArgument, kFailedPrecondition: it is not.
  HttpOutcome Perform(const sdk::Call& call, const HttpRequest& request, const Receiver& receiver);

 private:
  class Connection;
  std::unique_ptr<Connection> Take(const std::string& origin);
  void GiveBack(std::unique_ptr<Connection> connection);

  const Options options_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_;  // the last used at the end
};

}  // namespace berth::registry_oci

#endif  // BERTH_PLUGINS_REGISTRY_OCI_HTTP_CLIENT_H_
