// The gRPC server on a unix socket that is ours: made, accepted on and removed by us, never by gRPC, whose way of
// closing one unlinks the path even when a successor listens there.
#ifndef BERTH_CORE_CRI_SERVER_H_
#define BERTH_CORE_CRI_SERVER_H_

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/unique_fd.h"
#include "core/cri/open_calls.h"

namespace berth {

struct CriServerOptions {
  std::string socket;  // absolute; its directory is made if missing
  int64_t max_message_bytes = 16 << 20;
  std::vector<grpc::Service*> services;  // outlive the server; callback API only
  OpenCalls* calls = nullptr;            // where the services enter their calls; outlives the server
  mode_t mode = 0660;                    // of the socket
  int listener = -1;                     // a socket that listens at `socket` already, from now on the server's
  bool keep_socket = false;              // somebody else holds it, too: it stays when the server goes
  bool paused = false;                   // connections wait until Accept
  // A client is told to connect anew after about so long, between two calls. 0: never.
  int64_t connection_age_seconds = 0;
};

class CriServer {
 public:
  // Serves once this returns, unless paused. kFailedPrecondition: somebody listens on the socket, or its path is
  // something else.
  static absl::StatusOr<std::unique_ptr<CriServer>> Start(const CriServerOptions& options);
  // Drains without patience if Drain was not called.
  ~CriServer();
  CriServer(const CriServer&) = delete;
  CriServer& operator=(const CriServer&) = delete;

  // Connections wait from now on, those that are there go on. Accept takes them up again.
  void PauseAccepting();
  void Accept();
  // As PauseAccepting, for ever: the socket is a successor's.
  void LeaveSocket();
  // The socket that clients connect to. Borrowed; -1 once it was left.
  int listener() const { return listener_.get(); }

  // Takes no new connection, ends event streams, waits until `deadline_ns` (CLOCK_MONOTONIC) for open calls, answers
  // the rest with UNAVAILABLE and closes. The socket is removed unless it was left or is to be kept, or a successor has
  // put its own there. Once.
  void Drain(int64_t deadline_ns);

 private:
  CriServer() = default;
  void AcceptLoop();
  void WarnOfRefusal();
  void StopAccepting();

  std::string socket_;
  bool refusing_ = false;  // of the accepting thread
  bool served_ = false, keeps_socket_ = false;
  struct stat made_ = {};  // what was bound: tells our socket from a successor's
  OpenCalls* calls_ = nullptr;
  UniqueFd listener_, stop_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
  std::thread accepting_;
};

}  // namespace berth

#endif  // BERTH_CORE_CRI_SERVER_H_
