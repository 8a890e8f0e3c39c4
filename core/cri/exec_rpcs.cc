// ExecSync.
#include <string>
#include <utility>
#include <vector>

#include "core/cri/runtime_service.h"
#include "core/cri/unary_call.h"

namespace berth {
namespace {

// Tags, lengths and the exit code of an ExecSyncResponse.
constexpr size_t kFraming = 64;

// The answer has to fit into one message, of which the kubelet takes 16 MiB, too: what is beyond is dropped, of the
// longer stream first.
void ClipToMessage(size_t max_message_bytes, ExecSyncResult* result) {
  const size_t room = max_message_bytes > kFraming ? max_message_bytes - kFraming : 0;
  if (result->out.size() + result->err.size() <= room) return;
  const bool out_is_longer = result->out.size() >= result->err.size();
  std::string& longer = out_is_longer ? result->out : result->err;
  std::string& shorter = out_is_longer ? result->err : result->out;
  if (shorter.size() > room / 2) shorter.resize(room / 2);
  longer.resize(room - shorter.size());
}

}  // namespace

grpc::ServerUnaryReactor* CriRuntimeService::ExecSync(Context*, const cri::ExecSyncRequest* request,
                                                      cri::ExecSyncResponse* response) {
  // The process is this daemon's as long as it holds its pipes and its connection to the supervisor.
  auto call = UnaryCall::Start(env_.calls, HandOver::kStays);
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
  env_.containers->ExecSync(
      request->container_id(), command, request->timeout(),
      [call, response, most = env_.config->grpc.max_message_bytes](absl::StatusOr<ExecSyncResult> result) {
        call->Answer(result.status(), [&] {
          ClipToMessage(static_cast<size_t>(most), &*result);
          response->set_stdout(std::move(result->out));
          response->set_stderr(std::move(result->err));
          response->set_exit_code(result->exit_code);
        });
      });
  return call.get();
}

}  // namespace berth
