#include "core/cri/client/cri_client.h"

#include "absl/time/clock.h"
#include "core/cri/client/channel_arguments.h"

namespace berth {

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

CriClient::CriClient(const std::string& socket_path) : socket_path_(socket_path) {
  grpc::ChannelArguments arguments = CriChannelArguments();
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  // How long one attempt may take, as with the kubelet: where a daemon hands over, a connection waits for the next one.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
  auto channel = grpc::CreateCustomChannel("unix:" + socket_path, grpc::InsecureChannelCredentials(), arguments);
  RuntimeService_stub_ = cri::RuntimeService::NewStub(channel);
  ImageService_stub_ = cri::ImageService::NewStub(channel);
}

absl::Status CriClient::WaitUntilServing(absl::Duration timeout) {
  // A call that waits keeps gRPC's eye on the connection. Calls that fail at once and are repeated do not: then a
  // connection made between two of them is noticed only after seconds.
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  cri::VersionResponse response;
  const grpc::Status status = RuntimeService_stub_->Version(&context, cri::VersionRequest(), &response);
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return absl::UnavailableError("no CRI server answers at " + socket_path_);
  }
  return FromGrpcStatus(status);
}

std::unique_ptr<CriClient::EventStream> CriClient::GetContainerEvents() {
  auto stream = std::make_unique<EventStream>();
  stream->reader_ = RuntimeService_stub_->GetContainerEvents(&stream->context_, cri::GetEventsRequest());
  stream->reader_->WaitForInitialMetadata();
  return stream;
}

absl::StatusOr<cri::ContainerEventResponse> CriClient::EventStream::Next() {
  if (finished_) return absl::OutOfRangeError("the stream of events has ended");
  cri::ContainerEventResponse event;
  if (reader_->Read(&event)) return event;
  finished_ = true;
  const absl::Status status = FromGrpcStatus(reader_->Finish());
  if (status.ok()) return absl::OutOfRangeError("the stream of events has ended");
  return status;
}

CriClient::EventStream::~EventStream() {
  if (finished_) return;
  context_.TryCancel();
  cri::ContainerEventResponse event;
  while (reader_->Read(&event)) {
  }
  reader_->Finish();
}

}  // namespace berth
