#include "core/cri/server.h"

#include <fcntl.h>
#include <grpc/grpc.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/descriptor_limit.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/cri/grpc_threads.h"
#include "core/cri/listener.h"

namespace berth {
namespace {

constexpr int kAcceptPauseMs = 100;
// What was answered has to reach its clients in this time; one that does not read is cut off.
constexpr std::chrono::seconds kCloseGrace(2);

// One reference to gRPC that is never given back. When the last one goes, gRPC 1.51 waits for a poller that a large
// write may have left behind, up to 10 s, and a daemon that stops has no use for that.
void KeepGrpc() { [[maybe_unused]] static const bool kept = (grpc_init(), true); }

}  // namespace

absl::StatusOr<std::unique_ptr<CriServer>> CriServer::Start(const CriServerOptions& options) {
  const int most = static_cast<int>(std::min<int64_t>(options.max_message_bytes, std::numeric_limits<int>::max()));
  std::unique_ptr<CriServer> server(new CriServer);
  server->socket_ = options.socket;
  server->calls_ = options.calls;
  server->stop_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!server->stop_) return ErrnoStatus("make an eventfd");

  KeepGrpc();
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(most);
  builder.SetMaxSendMessageSize(most);
  // Clients are on this machine: probing the bandwidth and tracing channels cost memory and tell nothing.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, 0);
  // Clients that send pings on an idle connection (Go's keepalive) are not turned away.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  if (options.connection_age_seconds > 0) {
    // Told to go elsewhere, without any call being cut off: the way for clients to find a successor.
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                               static_cast<int>(std::min<int64_t>(options.connection_age_seconds, 86400) * 1000));
  }
  for (grpc::Service* service : options.services) builder.RegisterService(service);
  server->acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, grpc::InsecureServerCredentials());
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr) return absl::InternalError("start the gRPC server: it gives no reason");
  StartGrpcThreads();

  if (options.listener >= 0) {
    RETURN_IF_ERROR(CheckListener(options.listener, options.socket));
    fcntl(options.listener, F_SETFD, FD_CLOEXEC);
    fcntl(options.listener, F_SETFL, O_RDWR | O_NONBLOCK);
    server->listener_.reset(options.listener);
  } else {
    ASSIGN_OR_RETURN(server->listener_, Listen(options.socket, options.mode));
  }
  if (lstat(options.socket.c_str(), &server->made_) != 0) return ErrnoStatus(absl::StrCat("look at ", options.socket));
  server->keeps_socket_ = options.keep_socket;
  if (!options.paused) server->Accept();
  return server;
}

void CriServer::Accept() {
  served_ = true;
  accepting_ = std::thread(&CriServer::AcceptLoop, this);
}

void CriServer::PauseAccepting() {
  if (!accepting_.joinable()) return;
  eventfd_write(stop_.get(), 1);
  accepting_.join();
  eventfd_t count;
  eventfd_read(stop_.get(), &count);
}

CriServer::~CriServer() { Drain(MonotonicNanos()); }

void CriServer::AcceptLoop() {
  pthread_setname_np(pthread_self(), "cri-accept");
  while (true) {
    pollfd fds[] = {{stop_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) continue;
    if (fds[0].revents != 0) return;
    UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      // The lowest free number is given out: this many are open. The rest is for the work that calls ask for.
      if (static_cast<uint64_t>(fd.get()) >= DescriptorLimit() / 4 * 3) {
        fd.reset();  // the client sees UNAVAILABLE and comes again
        WarnOfRefusal();
        continue;
      }
      refusing_ = false;
      grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
      connection.listener_fd = -1;
      connection.fd = fd.release();
      acceptor_->HandleNewConnection(&connection);
    } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
      // Out of descriptors or memory: the connection stays in the queue, so without a pause this would spin.
      LogWarn("accept a connection", {{"error", ErrnoStatus("accept").message()}});
      poll(fds, 1, kAcceptPauseMs);
    }
  }
}

void CriServer::WarnOfRefusal() {
  if (!std::exchange(refusing_, true)) {
    LogWarn("connections are refused: too few descriptors are left",
            {{"descriptors", DescriptorLimit()}, {"hint", "raise LimitNOFILE of the daemon's service"}});
  }
}

void CriServer::LeaveSocket() {
  PauseAccepting();
  listener_.reset();
}

void CriServer::StopAccepting() {
  PauseAccepting();
  if (!listener_) return;
  struct stat there;
  const bool ours = lstat(socket_.c_str(), &there) == 0 && there.st_ino == made_.st_ino && there.st_dev == made_.st_dev;
  if (ours && !keeps_socket_) unlink(socket_.c_str());
  listener_.reset();
}

void CriServer::Drain(int64_t deadline_ns) {
  if (server_ == nullptr) return;
  if (served_) {  // what never did has no calls, they are another's; and so may be the socket
    StopAccepting();
    calls_->Drain(deadline_ns);
  }
  server_->Shutdown(std::chrono::system_clock::now() + kCloseGrace);
  server_->Wait();
  server_.reset();
}

}  // namespace berth
