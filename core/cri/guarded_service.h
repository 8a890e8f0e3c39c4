// What stands between a client's call and the service: where it is served while the daemon hands over, and the requests
// that are not served at all. Those are the ones that protobuf cannot read (a broken encoding, or a string that is not
// UTF-8) and those that come while too many are open. gRPC's own handler of the callback API answers the first with
// kUnimplemented and no message, which a client takes for a missing RPC, and knows no bound; this one says what it is.
#ifndef BERTH_CORE_CRI_GUARDED_SERVICE_H_
#define BERTH_CORE_CRI_GUARDED_SERVICE_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/message_allocator.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <string>
#include <utility>

#include "core/cri/call_gate.h"
#include "core/cri/open_calls.h"
#include "core/cri/relay.h"
#include "core/cri/request_budget.h"
#include "core/cri/unary_call.h"

namespace berth {

// All outlive the server.
struct CallRoute {
  OpenCalls* calls;
  RequestBudget* budget;
  CallGate* gate;
  Relay* relay;
};

// A call's messages, which count against the budget for as long as they live.
template <typename Request, typename Response>
class BudgetedMessages final : public grpc::MessageHolder<Request, Response> {
 public:
  explicit BudgetedMessages(RequestBudget* budget) : budget_(budget) {
    this->set_request(&request_);
    this->set_response(&response_);
  }
  void Hold(uint64_t bytes) {
    held_ = true;
    bytes_ = bytes;
  }
  void Release() override {
    if (held_) budget_->Return(bytes_);
    delete this;
  }

 private:
  RequestBudget* const budget_;
  Request request_;
  Response response_;
  bool held_ = false;
  uint64_t bytes_ = 0;
};

template <typename Request, typename Response>
class GuardedHandler final : public grpc::internal::MethodHandler, public grpc::MessageAllocator<Request, Response> {
 public:
  using Method = std::function<grpc::ServerUnaryReactor*(grpc::CallbackServerContext*, const Request*, Response*)>;

  // `path` is how a client calls the RPC: /SERVICE/METHOD.
  GuardedHandler(const std::string& path, const std::string& rpc, const CallRoute& route, Method method)
      : route_(route),
        served_(std::move(method)),
        relayed_(Relayed(path, route)),
        malformed_(Refusal({grpc::StatusCode::INVALID_ARGUMENT,
                            rpc + ": the request cannot be read as " + Request::descriptor()->full_name() +
                                ": its encoding is broken, or one of its strings is not UTF-8"})),
        too_many_(Refusal({grpc::StatusCode::RESOURCE_EXHAUSTED,
                           rpc + ": too many calls are open on this daemon, or too large ones; try again later"})) {
    // Reads the request, whichever of them serves it then.
    served_.SetMessageAllocator(this);
  }

  // From the allocator's interface.
  grpc::MessageHolder<Request, Response>* AllocateMessages() override {
    return new BudgetedMessages<Request, Response>(route_.budget);
  }

  void* Deserialize(grpc_call* call, grpc_byte_buffer* request, grpc::Status* status, void** data) override {
    // A client that gives up between the head of a call and its request leaves none.
    const uint64_t bytes = request == nullptr ? 0 : grpc_byte_buffer_length(request);
    const bool taken = route_.budget->Take(bytes);
    if (!taken) {
      grpc_byte_buffer_destroy(request);
      request = grpc_raw_byte_buffer_create(nullptr, 0);
    }
    void* parsed = served_.Deserialize(call, request, status, data);
    if (taken) {
      static_cast<BudgetedMessages<Request, Response>*>(static_cast<grpc::MessageHolder<Request, Response>*>(*data))
          ->Hold(bytes);
    } else {
      *status = grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "");
    }
    return parsed;
  }

  void RunHandler(const HandlerParameter& param) override {
    if (param.status.ok()) {
      // What it refers to lives until a handler has run and the call is done.
      return route_.gate->Pass(
          [this, param](Served served) { (served == Served::kHere ? served_ : relayed_).RunHandler(param); });
    }
    const bool refused = param.status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED;
    // The messages' memory is there, whatever became of parsing.
    (refused ? too_many_ : malformed_)
        .RunHandler(HandlerParameter(param.call, param.server_context, param.request, grpc::Status::OK,
                                     param.internal_data, param.call_requester));
  }

 private:
  static Method Refusal(grpc::Status status) {
    return [status = std::move(status)](grpc::CallbackServerContext* context, const Request*, Response*) {
      grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
      reactor->Finish(status);
      return reactor;
    };
  }

  static Method Relayed(const std::string& path, const CallRoute& route) {
    return [path, route](grpc::CallbackServerContext* context, const Request* request, Response* response) {
      auto call = UnaryCall::Start(route.calls, HandOver::kStays);
      if (call->MoveAway()) route.relay->Unary(path.c_str(), context, *request, response, call);
      return call.get();
    };
  }

  const CallRoute route_;
  grpc::internal::CallbackUnaryHandler<Request, Response> served_, relayed_, malformed_, too_many_;
};

// A generated callback service whose unary methods answer such requests so. Derived calls Guard for each in its
// constructor: `Guard("Version", &Derived::Version)`, with the RPC's name in `Api`.
template <typename Api, typename Derived>
class GuardedService : public Api::CallbackService {
 protected:
  explicit GuardedService(const CallRoute& route) : route_(route) {}

  template <typename Request, typename Response>
  void Guard(const char* rpc,
             grpc::ServerUnaryReactor* (Derived::*method)(grpc::CallbackServerContext*, const Request*, Response*)) {
    const auto* service = Request::descriptor()->file()->pool()->FindServiceByName(Api::service_full_name());
    const int index = service->FindMethodByName(rpc)->index();
    this->MarkMethodCallback(
        index, new GuardedHandler<Request, Response>(
                   std::string("/") + Api::service_full_name() + "/" + rpc, rpc, route_,
                   [self = static_cast<Derived*>(this), method](grpc::CallbackServerContext* context,
                                                                const Request* request, Response* response) {
                     return (self->*method)(context, request, response);
                   }));
  }

 private:
  const CallRoute route_;
};

}  // namespace berth

#endif  // BERTH_CORE_CRI_GUARDED_SERVICE_H_
