#include "core/cri/server.h"

#include <grpc/grpc.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/descriptor_limit.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/cri/grpc_threads.h"

namespace berth {
namespace {

constexpr mode_t kSocketMode = 0660;
constexpr int kAcceptPauseMs = 100;
// What was answered has to reach its clients in this time; one that does not read is cut off.
constexpr std::chrono::seconds kCloseGrace(2);

absl::StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path[0] != '/' || path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("listen on ", path, ": the path of a socket is absolute and has at ",
                                                   "most ", sizeof(address.sun_path) - 1, " bytes"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

absl::StatusOr<UniqueFd> MakeSocket() {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return ErrnoStatus("make a unix socket");
  return fd;
}

// OK when nothing is at `path` or a socket on which nobody listens any more. The store's lock keeps a second daemon of
// the same root away before it comes here; this is for one with another root, and for another runtime.
absl::Status CheckFree(const std::string& path) {
  struct stat there;
  if (lstat(path.c_str(), &there) != 0) {
    return errno == ENOENT ? absl::OkStatus() : ErrnoStatus(absl::StrCat("look for ", path));
  }
  if (!S_ISSOCK(there.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat("listen on ", path, ": there is a file that is no socket"));
  }
  ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  ASSIGN_OR_RETURN(const UniqueFd fd, MakeSocket());
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 || errno == EAGAIN) {
    return absl::FailedPreconditionError(
        absl::StrCat("listen on ", path, ": another process listens there; stop it, or set [grpc] socket"));
  }
  if (errno == ECONNREFUSED || errno == ENOENT) return absl::OkStatus();
  return ErrnoStatus(absl::StrCat("connect to ", path));
}

// Bound beside and renamed over `path`: whoever connects finds the old socket or one that listens.
absl::StatusOr<UniqueFd> Listen(const std::string& path) {
  const std::string fresh = path + ".new";
  ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(fresh));
  RETURN_IF_ERROR(MakeDirs(path.substr(0, path.rfind('/')), 0711));
  RETURN_IF_ERROR(CheckFree(path));
  ASSIGN_OR_RETURN(UniqueFd fd, MakeSocket());
  if (unlink(fresh.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(absl::StrCat("remove ", fresh));
  // The mode of the socket's file is the descriptor's less the umask: nobody else gets in before the chmod.
  fchmod(fd.get(), 0600);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoStatus(absl::StrCat("bind ", fresh));
  }
  absl::Status status;
  if (chmod(fresh.c_str(), kSocketMode) != 0) status = ErrnoStatus(absl::StrCat("chmod ", fresh));
  if (status.ok() && listen(fd.get(), SOMAXCONN) != 0) status = ErrnoStatus(absl::StrCat("listen on ", fresh));
  if (status.ok() && rename(fresh.c_str(), path.c_str()) != 0) status = ErrnoStatus(absl::StrCat("rename ", fresh));
  if (status.ok()) return fd;
  unlink(fresh.c_str());
  return status;
}

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
  for (grpc::Service* service : options.services) builder.RegisterService(service);
  server->acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, grpc::InsecureServerCredentials());
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr) return absl::InternalError("start the gRPC server: it gives no reason");
  StartGrpcThreads();

  ASSIGN_OR_RETURN(server->listener_, Listen(options.socket));
  if (lstat(options.socket.c_str(), &server->made_) != 0) return ErrnoStatus(absl::StrCat("look at ", options.socket));
  server->accepting_ = std::thread(&CriServer::AcceptLoop, server.get());
  return server;
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

void CriServer::StopAccepting() {
  eventfd_write(stop_.get(), 1);
  accepting_.join();
  struct stat there;
  if (lstat(socket_.c_str(), &there) == 0 && there.st_ino == made_.st_ino && there.st_dev == made_.st_dev) {
    unlink(socket_.c_str());
  }
  listener_.reset();
}

void CriServer::Drain(int64_t deadline_ns) {
  if (accepting_.joinable()) {  // it served: what never did has no calls, they are another's
    StopAccepting();
    calls_->Drain(deadline_ns);
  }
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now() + kCloseGrace);
  server_->Wait();
  server_.reset();
}

}  // namespace berth
