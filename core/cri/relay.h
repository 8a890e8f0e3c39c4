// Calls that still reach a daemon which has handed over, asked of its successor and answered with what that says.
//
// The successor is whoever serves on the socket, now or soon: a call waits until somebody does. What a message carries
// that this build does not know is passed on.
#ifndef BERTH_CORE_CRI_RELAY_H_
#define BERTH_CORE_CRI_RELAY_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/client_callback.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "core/cri/open_calls.h"
#include "core/cri/stream_call.h"
#include "core/cri/unary_call.h"

namespace berth {

// A stream of the successor's.
template <typename Response>
class RelayedReader final : public grpc::ClientReadReactor<Response> {
 public:
  // `method` is the RPC's path and outlives the call. `wake` is called, on gRPC's threads, when Next may have more to
  // say.
  template <typename Request>
  static std::shared_ptr<RelayedReader> Start(grpc::Channel* channel, const char* method, const Request& request,
                                              std::function<void()> wake) {
    std::shared_ptr<RelayedReader> reader(new RelayedReader(std::move(wake)));
    reader->self_ = reader;
    reader->context_.set_wait_for_ready(true);
    grpc::internal::ClientCallbackReaderFactory<Response>::Create(
        channel, grpc::internal::RpcMethod(method, nullptr, grpc::internal::RpcMethod::SERVER_STREAMING),
        &reader->context_, &request, reader.get());
    // Reads are asked for outside of gRPC's callbacks, too: the call may not be done with before the last has ended.
    reader->AddHold();
    reader->StartRead(&reader->slot_);
    reader->StartCall();
    return reader;
  }

  // As StreamCall::Next; at the end `status` is what the successor ended it with.
  NextMessage Next(Response* message, grpc::Status* status) {
    std::lock_guard lock(mutex_);
    if (full_) {
      message->Swap(&slot_);
      full_ = false;
      if (!stopped_) {
        reading_ = true;
        this->StartRead(&slot_);
      }
      return NextMessage::kReady;
    }
    if (!ended_) return NextMessage::kNoneNow;
    *status = status_;
    return NextMessage::kEnd;
  }

  // Ends it. After this returns `wake` is not called any more. Not from inside it.
  void Stop() {
    context_.TryCancel();
    bool last;
    {
      std::lock_guard lock(mutex_);
      stopped_ = true;
      last = !reading_ && !std::exchange(released_, true);
    }
    if (last) this->RemoveHold();
    std::lock_guard lock(wake_mutex_);
    wake_ = nullptr;
  }

 private:
  explicit RelayedReader(std::function<void()> wake) : wake_(std::move(wake)) {}

  void OnReadDone(bool ok) override {
    bool last;
    {
      std::lock_guard lock(mutex_);
      reading_ = false;
      full_ = ok && !stopped_;
      last = !full_ && !std::exchange(released_, true);
    }
    if (last) return this->RemoveHold();
    Wake();
  }
  void OnDone(const grpc::Status& status) override {
    {
      std::lock_guard lock(mutex_);
      ended_ = true;
      status_ = status;
    }
    Wake();
    self_.reset();  // may be the last reference
  }
  void Wake() {
    std::lock_guard lock(wake_mutex_);
    if (wake_) wake_();
  }

  grpc::ClientContext context_;
  std::shared_ptr<RelayedReader> self_;  // until gRPC has done with it
  std::mutex wake_mutex_;                // held while waking; taken before `mutex_`
  std::function<void()> wake_;
  std::mutex mutex_;
  Response slot_;
  bool reading_ = true, full_ = false, ended_ = false;
  bool stopped_ = false, released_ = false;  // released_: no read will be asked for any more
  grpc::Status status_;
};

// Thread-safe; outlives the server whose calls it takes.
class Relay {
 public:
  explicit Relay(std::string socket) : socket_(std::move(socket)) {}

  // Answers `call`, which has moved, with what the successor answers. Its deadline and its cancellation are passed on.
  template <typename Request, typename Response>
  void Unary(const char* method, grpc::CallbackServerContext* context, Request request, Response* response,
             std::shared_ptr<UnaryCall> call) {
    struct Flight {
      std::unique_ptr<grpc::ClientContext> context;
      Request request;
      Response response;
    };
    auto flight = std::make_shared<Flight>();
    flight->context = grpc::ClientContext::FromCallbackServerContext(*context);
    flight->context->set_wait_for_ready(true);
    flight->request = std::move(request);
    grpc::TemplatedGenericStub<Request, Response>(channel()).UnaryCall(
        flight->context.get(), method, {}, &flight->request, &flight->response,
        [flight, response, call = std::move(call)](const grpc::Status& status) {
          call->AnswerMoved(status, [&] { response->Swap(&flight->response); });
        });
  }

  // For the reactor of a streaming RPC that has just arrived.
  template <typename Request, typename Response>
  grpc::ServerWriteReactor<Response>* Stream(const char* method, grpc::CallbackServerContext* context,
                                             const Request& request, OpenCalls* calls, OpenCalls::Length length);

  std::shared_ptr<grpc::Channel> channel();

 private:
  const std::string socket_;
  std::mutex mutex_;
  std::shared_ptr<grpc::Channel> channel_;  // made when it is first needed
};

template <typename Response>
class RelayedStream final : public StreamCall<Response> {
 public:
  using StreamCall<Response>::StreamCall;
  ~RelayedStream() override {
    if (reader_ != nullptr) reader_->Stop();
  }
  template <typename Request>
  void Read(grpc::Channel* channel, const char* method, const Request& request) {
    auto reader = RelayedReader<Response>::Start(channel, method, request, [this] { this->Pump(); });
    {
      std::lock_guard lock(this->mutex_);
      reader_ = std::move(reader);
    }
    this->Pump();  // it may have woken us before we knew it
  }

 private:
  NextMessage Next(Response* message) override {
    return reader_ == nullptr ? NextMessage::kNoneNow : reader_->Next(message, &this->end_);
  }

  std::shared_ptr<RelayedReader<Response>> reader_;
};

template <typename Request, typename Response>
grpc::ServerWriteReactor<Response>* Relay::Stream(const char* method, grpc::CallbackServerContext* context,
                                                  const Request& request, OpenCalls* calls, OpenCalls::Length length) {
  auto stream = std::make_shared<RelayedStream<Response>>(context, calls);
  RelayedStream<Response>* const reactor = stream.get();
  reactor->Begin(stream, length);
  reactor->Read(channel().get(), method, request);
  return reactor;
}

}  // namespace berth

#endif  // BERTH_CORE_CRI_RELAY_H_
