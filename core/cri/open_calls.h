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

class OpenCall {
 public:
  virtual ~OpenCall() = default;
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
