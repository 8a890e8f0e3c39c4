// Commands that ask the daemon: upgrade and status.
#include <grpcpp/grpcpp.h>
#include <stdlib.h>

#include <cstdio>
#include <memory>
#include <string>

#include "core/cli/commands.h"
#include "proto/berth/admin/v1/admin.grpc.pb.h"

namespace berth {
namespace {

std::unique_ptr<admin::v1::Admin::Stub> Connect(const std::string& socket) {
  grpc::ChannelArguments arguments;
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  return admin::v1::Admin::NewStub(
      grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), arguments));
}

int Fail(const char* what, const std::string& socket, const grpc::Status& status) {
  fprintf(stderr, "%s: %s\n", what, status.error_message().c_str());
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    fprintf(stderr, "no daemon answers at %s; does it run, and is that its [admin] socket?\n", socket.c_str());
  }
  return 1;
}

}  // namespace

int UpgradeCommand(const std::string& socket, const std::string& binary) {
  admin::v1::UpgradeRequest request;
  if (!binary.empty()) {
    char* absolute = realpath(binary.c_str(), nullptr);
    if (absolute == nullptr) {
      fprintf(stderr, "upgrade to %s: %m\n", binary.c_str());
      return 1;
    }
    request.set_binary(absolute);
    free(absolute);
  }
  grpc::ClientContext context;
  admin::v1::UpgradeResponse response;
  const grpc::Status status = Connect(socket)->Upgrade(&context, request, &response);
  if (!status.ok()) return Fail("upgrade", socket, status);
  printf("berth %s serves now, as process %d\n", response.version().c_str(), response.pid());
  return 0;
}

int StatusCommand(const std::string& socket) {
  grpc::ClientContext context;
  admin::v1::StatusResponse response;
  const grpc::Status status = Connect(socket)->Status(&context, admin::v1::StatusRequest(), &response);
  if (!status.ok()) return Fail("status", socket, status);
  fputs(response.DebugString().c_str(), stdout);
  return 0;
}

}  // namespace berth
