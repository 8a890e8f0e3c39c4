// ExecSync.
#include <string>
#include <utility>
#include <vector>

#include "core/cri/runtime_service.h"
#include "core/cri/unary_call.h"

namespace berth {

grpc::ServerUnaryReactor* CriRuntimeService::ExecSync(Context*, const cri::ExecSyncRequest* request,
                                                      cri::ExecSyncResponse* response) {
  auto call = UnaryCall::Start(env_.calls);
  const std::vector<std::string> command(request->cmd().begin(), request->cmd().end());
  absl::Status bad;
  if (command.empty()) bad = absl::InvalidArgumentError("exec: the command is empty");
  if (request->timeout() < 0) bad = absl::InvalidArgumentError("exec: the timeout is negative");
  for (const std::string& word : command) {
    if (word.find('\0') != word.npos) bad = absl::InvalidArgumentError("exec: the command contains a NUL byte");
  }
  if (!bad.ok()) {
    call->Answer(bad);
    return call.get();
  }
  env_.containers->ExecSync(request->container_id(), command, request->timeout(),
                            [call, response](absl::StatusOr<ExecSyncResult> result) {
                              call->Answer(result.status(), [&] {
                                response->set_stdout(std::move(result->out));
                                response->set_stderr(std::move(result->err));
                                response->set_exit_code(result->exit_code);
                              });
                            });
  return call.get();
}

}  // namespace berth
