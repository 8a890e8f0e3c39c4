// The calls that have not been answered yet: what a daemon that stops waits for.
#ifndef BERTH_CORE_CRI_OPEN_CALLS_H_
#define BERTH_CORE_CRI_OPEN_CALLS_H_

#include <grpcpp/support/status.h>

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

namespace berth {

// What becomes of a call under way when the daemon hands over to a successor.
enum class HandOver : uint8_t {
  kEnds,   // the hand-over waits for its answer
  kStays,  // it is finished here: what it does touches nothing that is handed over
  kMoves,  // it is asked again of the successor
};

class OpenCall {
 public:
  virtual ~OpenCall() = default;
  virtual HandOver hand_over() const { return HandOver::kEnds; }
  // Of a call that moves: from now on the successor answers it. `self` is this. Once.
  virtual void Move(const std::shared_ptr<OpenCall>& self) { static_cast<void>(self); }
  // Answers with `status` unless an answer is on its way. Any thread; may be called more than once.
  virtual void End(const grpc::Status& status) = 0;
};

// Thread-safe.
class OpenCalls {
 public:
  enum class Length : bool { kFinite, kEndless };
  // One keeps its list, or its ring of events, for as long as its client likes to read.
  static constexpr size_t kMostStreams = 256;

  // `call` is ended at once when the drain has come so far.
  void Add(const std::shared_ptr<OpenCall>& call);
  // The same for a stream; ended with RESOURCE_EXHAUSTED when there are too many.
  void AddStream(const std::shared_ptr<OpenCall>& call, Length length);
  // From OnDone: nothing of the call is left in gRPC.
  void Remove(OpenCall* call);
  size_t size() const;

  // Waits until no call is left that a hand-over waits for. Answers how many are: 0 before `deadline_ns`
  // (CLOCK_MONOTONIC).
  size_t WaitForHandOver(int64_t deadline_ns);
  // Moves those that move.
  void MoveAll();
  // Waits until none is left, or until `deadline_ns`.
  void WaitUntilNone(int64_t deadline_ns);
  // Ends the endless calls, also those that still come.
  void EndEndless() { EndAll(Length::kEndless); }

  // Ends the endless calls, waits until `deadline_ns` (CLOCK_MONOTONIC) for the others to be answered, and ends what is
  // left and what still comes with UNAVAILABLE. What those calls asked for goes on.
  void Drain(int64_t deadline_ns);

 private:
  struct Entry {
    std::shared_ptr<OpenCall> call;
    Length length;
    bool stream;
  };
  void Enter(const std::shared_ptr<OpenCall>& call, Entry entry);
  void EndAll(Length length);
  bool FiniteLeft() const;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<OpenCall*, Entry> calls_;
  size_t streams_ = 0;
  bool ends_endless_ = false, ends_finite_ = false;
};

}  // namespace berth

#endif  // BERTH_CORE_CRI_OPEN_CALLS_H_
