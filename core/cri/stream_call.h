// One server-streaming call: writes a message when there is one and the client has taken the one before.
#ifndef BERTH_CORE_CRI_STREAM_CALL_H_
#define BERTH_CORE_CRI_STREAM_CALL_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/cri/open_calls.h"
#include "core/cri/status_to_grpc.h"

namespace berth {

enum class NextMessage { kReady, kNoneNow, kEnd };

// A subclass says where messages come from. The stream ends at kEnd, when the client cancels, and by End.
template <typename Response>
class StreamCall : public grpc::ServerWriteReactor<Response>, public OpenCall {
 public:
  StreamCall(grpc::CallbackServerContext* context, OpenCalls* calls) : context_(context), calls_(calls) {}

  // Once, by the one who made it: it then lives until gRPC has done with it.
  void Begin(std::shared_ptr<StreamCall> self, OpenCalls::Length length) {
    self_ = std::move(self);
    this->StartSendInitialMetadata();  // tells the client that the stream has begun
    calls_->AddStream(self_, length);
    Pump();
  }

  // It carries what was so when it began, and needs nothing more.
  HandOver hand_over() const override { return HandOver::kStays; }
  void End(const grpc::Status& status) override {
    {
      std::lock_guard lock(mutex_);
      EndLocked(status);
      // A client that does not read holds the write up for ever. The context lives: OnWriteDone needs the lock first.
      if (writing_ && !finished_) context_->TryCancel();
    }
    FinishIfIdle();
  }

 protected:
  // With the lock held: fills the message. Called by one thread at a time.
  virtual NextMessage Next(Response* message) = 0;

  // Writes the next message if nothing is being written. Any thread, not with locks held that Next takes.
  void Pump() {
    {
      std::lock_guard lock(mutex_);
      if (writing_ || ended_) return;
      message_.Clear();
      const NextMessage next = Next(&message_);
      if (next == NextMessage::kNoneNow) return;
      writing_ = next == NextMessage::kReady;
      if (!writing_) EndLocked(end_);
    }
    if (!FinishIfIdle()) this->StartWrite(&message_);
  }

  std::mutex mutex_;
  grpc::Status end_;  // what it ends with at kEnd: set by Next

 private:
  void EndLocked(const grpc::Status& status) {
    if (std::exchange(ended_, true)) return;
    final_ = status;
  }
  // True when the stream was idle, and is finished if it has ended.
  bool FinishIfIdle() {
    {
      std::lock_guard lock(mutex_);
      if (writing_) return false;
      if (!ended_ || std::exchange(finished_, true)) return true;
    }
    this->Finish(final_);
    return true;
  }
  void OnWriteDone(bool ok) override {
    {
      std::lock_guard lock(mutex_);
      writing_ = false;
      if (!ok) EndLocked(grpc::Status::CANCELLED);
    }
    Pump();
    FinishIfIdle();
  }
  void OnCancel() override {
    {
      std::lock_guard lock(mutex_);
      EndLocked(grpc::Status::CANCELLED);
    }
    FinishIfIdle();
  }
  void OnDone() final {
    calls_->Remove(this);
    self_.reset();  // may be the last reference
  }

  grpc::CallbackServerContext* const context_;
  OpenCalls* const calls_;
  std::shared_ptr<StreamCall> self_;
  Response message_;  // the one being written
  bool writing_ = false, ended_ = false, finished_ = false;
  grpc::Status final_;
};

// Items in one message of a list: far below any client's limit on a message's size.
inline constexpr size_t kItemsInMessage = 256;

// A list that is known when the call arrives: the CRI's StreamX RPCs.
template <typename Response>
class ListStream : public StreamCall<Response> {
 public:
  // Fills the next message; false when there is none any more.
  using Fill = std::function<bool(Response*)>;

  ListStream(grpc::CallbackServerContext* context, OpenCalls* calls, Fill fill)
      : StreamCall<Response>(context, calls), fill_(std::move(fill)) {}

 private:
  NextMessage Next(Response* message) override { return fill_(message) ? NextMessage::kReady : NextMessage::kEnd; }

  const Fill fill_;
};

// Streams `items` (pointers), each added to a message by `add`; or ends at once with an error.
template <typename Response, typename Item, typename Add>
grpc::ServerWriteReactor<Response>* StreamList(grpc::CallbackServerContext* context, OpenCalls* calls,
                                               const absl::Status& status, std::vector<Item> items, Add add) {
  auto fill = [items = std::move(items), next = size_t{0}, add](Response* message) mutable {
    if (next == items.size()) return false;
    const size_t end = std::min(next + kItemsInMessage, items.size());
    for (; next < end; ++next) add(*items[next], message);
    return true;
  };
  auto stream = std::make_shared<ListStream<Response>>(context, calls, std::move(fill));
  ListStream<Response>* const reactor = stream.get();
  if (!status.ok()) reactor->End(ToGrpc(status));
  reactor->Begin(std::move(stream), OpenCalls::Length::kFinite);
  return reactor;
}

}  // namespace berth

#endif  // BERTH_CORE_CRI_STREAM_CALL_H_
