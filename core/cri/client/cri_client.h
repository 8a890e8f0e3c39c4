// A client of any CRI v1 server on a unix socket: one blocking method for each RPC, for subcommands and tests.
//
// Errors carry the server's code and message unchanged; a server that is not there is kUnavailable, one that does not
// answer in time kDeadlineExceeded. Thread-safe; calls of several threads share one connection.
#ifndef BERTH_CORE_CRI_CLIENT_CRI_CLIENT_H_
#define BERTH_CORE_CRI_CLIENT_CRI_CLIENT_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/cri/v1/api.grpc.pb.h"

namespace berth {

namespace cri = ::runtime::v1;

// What the kubelet gives most of its calls.
inline constexpr absl::Duration kCriTimeout = absl::Minutes(2);

absl::Status FromGrpcStatus(const grpc::Status& status);

class CriClient {
 public:
  // Does not connect yet: the first call does, and later ones again if the server went away.
  explicit CriClient(const std::string& socket_path);

  // OK once the server answers Version; kUnavailable when it does not within `timeout`.
  absl::Status WaitUntilServing(absl::Duration timeout);

#define BERTH_CRI_UNARY(Service, Rpc)                                                                        \
  absl::StatusOr<cri::Rpc##Response> Rpc(const cri::Rpc##Request& request, absl::Duration t = kCriTimeout) { \
    return Unary(Service##_stub_.get(), &cri::Service::Stub::Rpc, request, t);                               \
  }
  BERTH_CRI_UNARY(RuntimeService, Version)
  BERTH_CRI_UNARY(RuntimeService, RunPodSandbox)
  BERTH_CRI_UNARY(RuntimeService, StopPodSandbox)
  BERTH_CRI_UNARY(RuntimeService, RemovePodSandbox)
  BERTH_CRI_UNARY(RuntimeService, PodSandboxStatus)
  BERTH_CRI_UNARY(RuntimeService, ListPodSandbox)
  BERTH_CRI_UNARY(RuntimeService, CreateContainer)
  BERTH_CRI_UNARY(RuntimeService, StartContainer)
  BERTH_CRI_UNARY(RuntimeService, StopContainer)
  BERTH_CRI_UNARY(RuntimeService, RemoveContainer)
  BERTH_CRI_UNARY(RuntimeService, ListContainers)
  BERTH_CRI_UNARY(RuntimeService, ContainerStatus)
  BERTH_CRI_UNARY(RuntimeService, UpdateContainerResources)
  BERTH_CRI_UNARY(RuntimeService, ReopenContainerLog)
  BERTH_CRI_UNARY(RuntimeService, ExecSync)
  BERTH_CRI_UNARY(RuntimeService, Exec)
  BERTH_CRI_UNARY(RuntimeService, Attach)
  BERTH_CRI_UNARY(RuntimeService, PortForward)
  BERTH_CRI_UNARY(RuntimeService, ContainerStats)
  BERTH_CRI_UNARY(RuntimeService, ListContainerStats)
  BERTH_CRI_UNARY(RuntimeService, PodSandboxStats)
  BERTH_CRI_UNARY(RuntimeService, ListPodSandboxStats)
  BERTH_CRI_UNARY(RuntimeService, UpdateRuntimeConfig)
  BERTH_CRI_UNARY(RuntimeService, Status)
  BERTH_CRI_UNARY(RuntimeService, CheckpointContainer)
  BERTH_CRI_UNARY(RuntimeService, CheckpointPod)
  BERTH_CRI_UNARY(RuntimeService, RestorePod)
  BERTH_CRI_UNARY(RuntimeService, ListMetricDescriptors)
  BERTH_CRI_UNARY(RuntimeService, ListPodSandboxMetrics)
  BERTH_CRI_UNARY(RuntimeService, RuntimeConfig)
  BERTH_CRI_UNARY(RuntimeService, UpdatePodSandboxResources)
  BERTH_CRI_UNARY(ImageService, ListImages)
  BERTH_CRI_UNARY(ImageService, ImageStatus)
  BERTH_CRI_UNARY(ImageService, PullImage)
  BERTH_CRI_UNARY(ImageService, RemoveImage)
  BERTH_CRI_UNARY(ImageService, ImageFsInfo)
#undef BERTH_CRI_UNARY

  // The streaming lists: `visit` gets each message; OK at the end of the stream. One that ends with kUnavailable before
  // its first message is asked for again, up to twice.
#define BERTH_CRI_STREAM(Service, Rpc)                                                                            \
  absl::Status Rpc(const cri::Rpc##Request& request, const std::function<void(const cri::Rpc##Response&)>& visit, \
                   absl::Duration t = kCriTimeout) {                                                              \
    return Stream(Service##_stub_.get(), &cri::Service::Stub::Rpc, request, visit, t);                            \
  }
  BERTH_CRI_STREAM(RuntimeService, StreamPodSandboxes)
  BERTH_CRI_STREAM(RuntimeService, StreamContainers)
  BERTH_CRI_STREAM(RuntimeService, StreamContainerStats)
  BERTH_CRI_STREAM(RuntimeService, StreamPodSandboxStats)
  BERTH_CRI_STREAM(RuntimeService, StreamPodSandboxMetrics)
  BERTH_CRI_STREAM(ImageService, StreamImages)
#undef BERTH_CRI_STREAM

  // Events from now on.
  class EventStream {
   public:
    // The next event; blocks. kCancelled after Cancel(), else what the server ended the stream with (OK counts as
    // kOutOfRange).
    absl::StatusOr<cri::ContainerEventResponse> Next();
    void Cancel() { context_.TryCancel(); }  // any thread
    ~EventStream();

   private:
    friend class CriClient;
    grpc::ClientContext context_;
    std::unique_ptr<grpc::ClientReader<cri::ContainerEventResponse>> reader_;
    bool finished_ = false;
  };
  // Returns once the server has accepted the subscription, if it says so at once as Berth does (initial metadata), or
  // after the first event.
  std::unique_ptr<EventStream> GetContainerEvents();

 private:
  template <typename Service, typename Request, typename Response>
  static absl::StatusOr<Response> Unary(Service* service,
                                        grpc::Status (Service::*method)(grpc::ClientContext*, const Request&,
                                                                        Response*),
                                        const Request& request, absl::Duration timeout) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    Response response;
    const grpc::Status status = (service->*method)(&context, request, &response);
    if (!status.ok()) return FromGrpcStatus(status);
    return response;
  }
  template <typename Service, typename Method, typename Request, typename Response>
  static absl::Status Stream(Service* service, Method method, const Request& request,
                             const std::function<void(const Response&)>& visit, absl::Duration timeout) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    auto reader = (service->*method)(&context, request);
    Response response;
    while (reader->Read(&response)) visit(response);
    return FromGrpcStatus(reader->Finish());
  }

  const std::string socket_path_;
  std::unique_ptr<cri::RuntimeService::Stub> RuntimeService_stub_;
  std::unique_ptr<cri::ImageService::Stub> ImageService_stub_;
};

}  // namespace berth

#endif  // BERTH_CORE_CRI_CLIENT_CRI_CLIENT_H_
