// One unary call between its arrival and its answer.
#ifndef BERTH_CORE_CRI_UNARY_CALL_H_
#define BERTH_CORE_CRI_UNARY_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "core/cri/open_calls.h"
#include "core/cri/status_to_grpc.h"

namespace berth {

// The reactor of a unary RPC. Whoever works for it holds a reference; it is answered once, by the first to come: the
// work, the successor it has moved to or the daemon's drain. The request and the response may be gone after that, so
// the request's parts that are needed later are copied, and the response is filled inside Answer only.
class UnaryCall : public grpc::ServerUnaryReactor, public OpenCall {
 public:
  template <typename Call = UnaryCall>
  static std::shared_ptr<Call> Start(OpenCalls* calls, HandOver hand_over = HandOver::kEnds) {
    auto call = std::make_shared<Call>(calls, hand_over);
    call->self_ = call;
    calls->Add(call);
    return call;
  }
  // Only through Start.
  UnaryCall(OpenCalls* calls, HandOver hand_over) : calls_(calls), hand_over_(hand_over) {}

  // Calls `fill`, which writes the response, if the status is OK. Any thread.
  template <typename Fill>
  void Answer(const absl::Status& status, Fill&& fill) {
    if (!Advance(State::kHere, State::kAnswered)) return;
    if (status.ok()) std::forward<Fill>(fill)();
    Finish(ToGrpc(status));
  }
  void Answer(const absl::Status& status) {
    Answer(status, [] {});
  }

  // From now on it is answered by AnswerMoved, and Answer does nothing. False: it has been answered.
  bool MoveAway() { return Advance(State::kHere, State::kMoved); }
  template <typename Fill>
  void AnswerMoved(const grpc::Status& status, Fill&& fill) {
    if (!Advance(State::kMoved, State::kAnswered)) return;
    if (status.ok()) std::forward<Fill>(fill)();
    Finish(status);
  }

  HandOver hand_over() const override { return hand_over_; }
  void End(const grpc::Status& status) override {
    if (state_.exchange(State::kAnswered) != State::kAnswered) Finish(status);
  }

 private:
  enum class State : uint8_t { kHere, kMoved, kAnswered };
  bool Advance(State from, State to) { return state_.compare_exchange_strong(from, to); }
  void OnDone() final {
    calls_->Remove(this);
    self_.reset();  // may be the last reference
  }

  OpenCalls* const calls_;
  const HandOver hand_over_;
  std::shared_ptr<UnaryCall> self_;
  std::atomic<State> state_{State::kHere};
};

// One that may last for long and can be begun anew: at a hand-over it is asked again of the successor.
class MovableCall : public UnaryCall {
 public:
  using UnaryCall::UnaryCall;
  using Ask = std::function<void(std::shared_ptr<UnaryCall>)>;

  // How it is asked again: by the handler, before it returns.
  void OnMove(Ask ask) { ask_ = std::move(ask); }
  HandOver hand_over() const override { return HandOver::kMoves; }
  void Move(const std::shared_ptr<OpenCall>& self) override {
    if (MoveAway()) ask_(std::static_pointer_cast<MovableCall>(self));
  }

 private:
  Ask ask_;
};

}  // namespace berth

#endif  // BERTH_CORE_CRI_UNARY_CALL_H_
