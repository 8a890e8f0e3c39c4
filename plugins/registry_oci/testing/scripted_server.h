// An HTTP/1.1 server on loopback that does what a test says, also what no server should.
#ifndef BERTH_PLUGINS_REGISTRY_OCI_TESTING_SCRIPTED_SERVER_H_
#define BERTH_PLUGINS_REGISTRY_OCI_TESTING_SCRIPTED_SERVER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "berth/sdk/unique_fd.h"

namespace berth::registry_oci {

struct ServedRequest {
  std::string method, target;                  // "GET", "/v2/a/blobs/sha256:...?ns=x"
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  int connection = 0;  // which one, from 1

  std::string Header(const std::string& name) const {
    const auto it = headers.find(name);
    return it == headers.end() ? "" : it->second;
  }
};

struct ServedResponse {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers = {};  // beside Content-Length
  std::string body = {};
  std::string raw = {};          // the whole response instead of all of the above
  int64_t cut_after = -1;        // bytes of the response, then the connection is closed
  int64_t body_size = -1;        // Content-Length, when it is to be a lie
  int drip_ms = 0;               // pause before each byte of the body
  bool hang_after_body = false;  // sends what there is and no end
  bool hang = false;             // neither answers nor closes, until the client does
};

// Starts in the constructor, ends all connections in the destructor.
class ScriptedServer {
 public:
  // Runs on a thread of the connection's; several at once.
  using Handler = std::function<ServedResponse(const ServedRequest&)>;
  explicit ScriptedServer(Handler handler);
  ~ScriptedServer();

  int port() const { return port_; }
  std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string url() const { return "http://" + host(); }
  // So far, in the order they were read.
  std::vector<ServedRequest> requests() const;
  // How many of them were for `target`'s beginning.
  int Count(const std::string& target) const;

 private:
  void Accept();
  void Serve(int fd, int number);
  static void Send(int fd, const ServedResponse& response, bool head);

  const Handler handler_;
  sdk::UniqueFd listener_;
  int port_ = 0;
  mutable std::mutex mutex_;
  bool closing_ = false;
  std::set<int> open_;
  std::vector<std::thread> threads_;
  std::vector<ServedRequest> requests_;
  std::thread acceptor_;
};

}  // namespace berth::registry_oci

#endif  // BERTH_PLUGINS_REGISTRY_OCI_TESTING_SCRIPTED_SERVER_H_
