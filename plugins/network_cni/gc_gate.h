// Keeps the garbage collection of networks apart from their other operations (CNI specification 1.1, section 3: no ADD
// or DEL while GC runs).
#ifndef BERTH_PLUGINS_NETWORK_CNI_GC_GATE_H_
#define BERTH_PLUGINS_NETWORK_CNI_GC_GATE_H_

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "berth/sdk/call.h"
#include "berth/sdk/status.h"

namespace berth::network_cni {

// Thread-safe. Operations pass together, a collection passes alone. A collection that waits holds nobody up: pods come
// first, and it can come back later.
class GcGate {
 public:
  // Who holds one is inside. It ends before the gate.
  class Pass {
   public:
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)), alone_(other.alone_) {}
    ~Pass() {
      if (gate_ != nullptr) gate_->Leave(alone_);
    }

   private:
    friend class GcGate;
    Pass(GcGate* gate, bool alone) : gate_(gate), alone_(alone) {}

    GcGate* gate_;
    const bool alone_;
  };

  // Each waits until it may pass, at most as long as the call is wanted: kCancelled, kDeadlineExceeded.
  sdk::Result<Pass> Operation(const sdk::Call& call) { return Enter(call, false); }
  sdk::Result<Pass> Collection(const sdk::Call& call) { return Enter(call, true); }

 private:
  sdk::Result<Pass> Enter(const sdk::Call& call, bool alone) {
    std::unique_lock<std::mutex> lock(mutex_);
    while (collecting_ || (alone && operations_ > 0)) {
      if (const sdk::Status wanted = call.Check(); !wanted.ok()) {
        return sdk::Annotate(wanted, alone ? "wait for the networks' operations to end"
                                           : "wait for the networks' garbage collection to end");
      }
      changed_.wait_for(lock, std::chrono::milliseconds(100));  // then looks whether it is still wanted
    }
    if (alone) {
      collecting_ = true;
    } else {
      ++operations_;
    }
    return Pass(this, alone);
  }

  void Leave(bool alone) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (alone) {
      collecting_ = false;
    } else {
      --operations_;
    }
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int operations_ = 0;
  bool collecting_ = false;
};

}  // namespace berth::network_cni

#endif  // BERTH_PLUGINS_NETWORK_CNI_GC_GATE_H_
