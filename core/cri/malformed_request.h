// Requests that protobuf cannot read: a broken encoding, or a string that is not UTF-8. gRPC's own handler of the
// callback API answers them with kUnimplemented and no message, which a client takes for a missing RPC; this one says
// what it is.
#ifndef BERTH_CORE_CRI_MALFORMED_REQUEST_H_
#define BERTH_CORE_CRI_MALFORMED_REQUEST_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <string>

namespace berth {

template <typename Request, typename Response>
class MalformedRequestHandler final : public grpc::internal::MethodHandler {
 public:
  using Method = std::function<grpc::ServerUnaryReactor*(grpc::CallbackServerContext*, const Request*, Response*)>;

  MalformedRequestHandler(const std::string& rpc, Method method)
      : readable_(std::move(method)),
        malformed_([rpc](grpc::CallbackServerContext* context, const Request*, Response*) {
          grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
          reactor->Finish(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                                       rpc + ": the request cannot be read as " + Request::descriptor()->full_name() +
                                           ": its encoding is broken, or one of its strings is not UTF-8"));
          return reactor;
        }) {}

  void* Deserialize(grpc_call* call, grpc_byte_buffer* request, grpc::Status* status, void** data) override {
    return readable_.Deserialize(call, request, status, data);
  }

  void RunHandler(const HandlerParameter& param) override {
    if (param.status.ok()) return readable_.RunHandler(param);
    // The messages' memory is there, whatever became of parsing.
    malformed_.RunHandler(HandlerParameter(param.call, param.server_context, param.request, grpc::Status::OK,
                                           param.internal_data, param.call_requester));
  }

 private:
  grpc::internal::CallbackUnaryHandler<Request, Response> readable_, malformed_;
};

// A generated callback service whose unary methods answer malformed requests so. Derived calls Guard for each in its
// constructor: `Guard("Version", &Derived::Version)`, with the RPC's name in `Api`.
template <typename Api, typename Derived>
class GuardedService : public Api::CallbackService {
 protected:
  template <typename Request, typename Response>
  void Guard(const char* rpc,
             grpc::ServerUnaryReactor* (Derived::*method)(grpc::CallbackServerContext*, const Request*, Response*)) {
    const auto* service = Request::descriptor()->file()->pool()->FindServiceByName(Api::service_full_name());
    const int index = service->FindMethodByName(rpc)->index();
    this->MarkMethodCallback(
        index, new MalformedRequestHandler<Request, Response>(
                   rpc, [self = static_cast<Derived*>(this), method](grpc::CallbackServerContext* context,
                                                                     const Request* request, Response* response) {
                     return (self->*method)(context, request, response);
                   }));
  }
};

}  // namespace berth

#endif  // BERTH_CORE_CRI_MALFORMED_REQUEST_H_
