// Where calls are served while the daemon hands over to a successor: here, nowhere for a moment, there.
#ifndef BERTH_CORE_CRI_CALL_GATE_H_
#define BERTH_CORE_CRI_CALL_GATE_H_

#include <condition_variable>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace berth {

enum class Served : bool { kHere, kBySuccessor };

// Thread-safe. Open at first, and calls are served here.
class CallGate {
 public:
  // One call on its way from its arrival to the open calls. The gate does not change under it.
  class Entry {
   public:
    Entry(Entry&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)), served_(other.served_) {}
    Entry& operator=(Entry&&) = delete;
    ~Entry() {
      if (gate_ != nullptr) gate_->Leave();
    }
    bool by_successor() const { return served_ == Served::kBySuccessor; }

   private:
    friend class CallGate;
    Entry(CallGate* gate, Served served) : gate_(gate), served_(served) {}
    CallGate* gate_;
    const Served served_;
  };

  // Calls `run` at once, or, while the gate is closed, when it opens: on the thread that opens it. `run` starts the
  // call, which is among the open calls when it returns.
  void Pass(std::function<void(Served)> run);
  // For a call that answers from memory and so need not wait while the gate is closed.
  Entry Enter();

  // From now on calls wait. Returns once every call that was let in before is among the open calls.
  void Close();
  // Lets those in that wait, and all that come. Once calls were served by the successor it stays so.
  void Open(Served served);

 private:
  void Leave();

  std::mutex mutex_;
  std::condition_variable left_;
  Served served_ = Served::kHere;
  bool closed_ = false;
  size_t entering_ = 0;
  std::vector<std::function<void(Served)>> waiting_;
};

}  // namespace berth

#endif  // BERTH_CORE_CRI_CALL_GATE_H_
