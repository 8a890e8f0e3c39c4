// One unary call between its arrival and its answer.
#ifndef BERTH_CORE_CRI_UNARY_CALL_H_
#define BERTH_CORE_CRI_UNARY_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "core/cri/open_calls.h"
#include "core/cri/status_to_grpc.h"

namespace berth {

// The reactor of a unary RPC. Whoever works for it holds a reference; it is answered once, by the first to come: the
// work or the daemon's drain. The request and the response may be gone after that, so the request's parts that are
// needed later are copied, and the response is filled inside Answer only.
class UnaryCall : public grpc::ServerUnaryReactor, public OpenCall {
 public:
  template <typename Call = UnaryCall>
  static std::shared_ptr<Call> Start(OpenCalls* calls) {
    auto call = std::make_shared<Call>(calls);
    call->self_ = call;
    calls->Add(call);
    return call;
  }
  // Only through Start.
  explicit UnaryCall(OpenCalls* calls) : calls_(calls) {}

  // Calls `fill`, which writes the response, if the status is OK. Any thread.
  template <typename Fill>
  void Answer(const absl::Status& status, Fill&& fill) {
    if (answered_.exchange(true)) return;
    if (status.ok()) std::forward<Fill>(fill)();
    Finish(ToGrpc(status));
  }
  void Answer(const absl::Status& status) {
    Answer(status, [] {});
  }

  void End(const grpc::Status& status) override {
    if (!answered_.exchange(true)) Finish(status);
  }

 private:
  void OnDone() final {
    calls_->Remove(this);
    self_.reset();  // may be the last reference
  }

  OpenCalls* const calls_;
  std::shared_ptr<UnaryCall> self_;
  std::atomic<bool> answered_{false};
};

}  // namespace berth

#endif  // BERTH_CORE_CRI_UNARY_CALL_H_
