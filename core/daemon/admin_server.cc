#include "core/daemon/admin_server.h"

#include <grpcpp/server_context.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/cri/unary_call.h"
#include "proto/berth/admin/v1/admin.grpc.pb.h"

namespace berth {
namespace {

constexpr int64_t kDrainNanos = 2'000'000'000;
constexpr size_t kThreads = 2, kMostWaiting = 16;
constexpr int64_t kMostBytes = 64 << 10;

}  // namespace

class AdminServer::Service : public admin::v1::Admin::CallbackService {
 public:
  Service(AdminActions* actions, OpenCalls* calls, ThreadPool* threads)
      : actions_(actions), calls_(calls), threads_(threads) {}

  grpc::ServerUnaryReactor* Status(grpc::CallbackServerContext*, const admin::v1::StatusRequest*,
                                   admin::v1::StatusResponse* response) override {
    auto call = UnaryCall::Start(calls_);
    const DaemonStatus status = actions_->Status();
    call->Answer(absl::OkStatus(), [&] {
      response->set_version(status.version);
      response->set_pid(getpid());
      response->set_binary(status.binary);
      response->set_started_at(status.started_at);
      response->set_socket(status.socket);
      response->set_open_calls(status.open_calls);
      response->set_pods(status.pods);
      response->set_containers(status.containers);
      response->set_images(status.images);
    });
    return call.get();
  }

  // A client that gives up ends nothing: a hand-over is carried through or undone.
  grpc::ServerUnaryReactor* Upgrade(grpc::CallbackServerContext*, const admin::v1::UpgradeRequest* request,
                                    admin::v1::UpgradeResponse* response) override {
    auto call = UnaryCall::Start(calls_);
    const Task work = [this, call, response, binary = request->binary()] {
      const auto upgraded = actions_->Upgrade(binary);
      call->Answer(upgraded.status(), [&] {
        response->set_pid(upgraded->pid);
        response->set_version(upgraded->version);
      });
    };
    if (!threads_->TryAdd(work, kMostWaiting)) {
      call->Answer(absl::ResourceExhaustedError("upgrade: too many ask for it already"));
    }
    return call.get();
  }

 private:
  AdminActions* const actions_;
  OpenCalls* const calls_;
  ThreadPool* const threads_;
};

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(const std::string& socket, AdminActions* actions) {
  std::unique_ptr<AdminServer> admin(new AdminServer);
  admin->threads_ = std::make_unique<ThreadPool>(kThreads);
  admin->service_ = std::make_unique<Service>(actions, &admin->calls_, admin->threads_.get());
  CriServerOptions options;
  options.socket = socket;
  options.mode = 0600;
  options.max_message_bytes = kMostBytes;
  options.services = {admin->service_.get()};
  options.calls = &admin->calls_;
  auto server = CriServer::Start(options);
  if (!server.ok()) return Annotate(server.status(), "serve the operator's API");
  admin->server_ = *std::move(server);
  return admin;
}

AdminServer::~AdminServer() {
  if (server_ != nullptr) server_->Drain(MonotonicNanos() + kDrainNanos);
}

}  // namespace berth
