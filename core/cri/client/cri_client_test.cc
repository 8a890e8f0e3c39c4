#include "core/cri/client/cri_client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

namespace berth {
namespace {

class FakeRuntime : public cri::RuntimeService::Service {
  grpc::Status Version(grpc::ServerContext*, const cri::VersionRequest*, cri::VersionResponse* response) override {
    response->set_runtime_name("fake");
    return grpc::Status::OK;
  }
  grpc::Status ContainerStatus(grpc::ServerContext*, const cri::ContainerStatusRequest* request,
                               cri::ContainerStatusResponse*) override {
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "no container " + request->container_id());
  }
  grpc::Status ExecSync(grpc::ServerContext*, const cri::ExecSyncRequest*, cri::ExecSyncResponse* response) override {
    response->set_stdout(std::string(20 << 20, 'x'));
    return grpc::Status::OK;
  }
  grpc::Status Status(grpc::ServerContext* context, const cri::StatusRequest*, cri::StatusResponse*) override {
    while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return grpc::Status::CANCELLED;
  }
  grpc::Status StreamContainers(grpc::ServerContext*, const cri::StreamContainersRequest*,
                                grpc::ServerWriter<cri::StreamContainersResponse>* writer) override {
    if (refusals > 0) {
      --refusals;
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "not yet");
    }
    for (int i = 0; i < 3; ++i) writer->Write(cri::StreamContainersResponse());
    if (!breaks) return grpc::Status::OK;
    breaks = false;
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone");
  }
  grpc::Status GetContainerEvents(grpc::ServerContext* context, const cri::GetEventsRequest*,
                                  grpc::ServerWriter<cri::ContainerEventResponse>* writer) override {
    writer->SendInitialMetadata();
    cri::ContainerEventResponse event;
    event.set_container_id("one");
    writer->Write(event);
    while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return grpc::Status::CANCELLED;
  }

 public:
  // Of StreamContainers: answers without a part, then one that ends early.
  std::atomic<int> refusals{0};
  std::atomic<bool> breaks{false};
};

class CriClientTest : public testing::Test {
 protected:
  void SetUp() override {
    char directory[] = "/tmp/cri_client_test.XXXXXX";
    ASSERT_NE(mkdtemp(directory), nullptr);
    directory_ = directory;
    socket_ = directory_ + "/cri.sock";
  }
  void TearDown() override {
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
    unlink(socket_.c_str());
    rmdir(directory_.c_str());
  }
  void Serve() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket_, grpc::InsecureServerCredentials());
    builder.RegisterService(&runtime_);
    builder.SetMaxSendMessageSize(-1);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }

  std::string directory_, socket_;
  FakeRuntime runtime_;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(CriClientTest, AStreamIsAskedForAgainUntilItsFirstPart) {
  Serve();
  CriClient client(socket_);
  int parts = 0;
  const auto count = [&](const cri::StreamContainersResponse&) { ++parts; };
  runtime_.refusals = 2;
  EXPECT_EQ(client.StreamContainers({}, count), absl::OkStatus());
  EXPECT_EQ(parts, 3);
  runtime_.breaks = true;
  EXPECT_EQ(client.StreamContainers({}, count), absl::UnavailableError("gone")) << "its parts would come twice";
  EXPECT_EQ(parts, 6);
  runtime_.refusals = 100;
  EXPECT_EQ(client.StreamContainers({}, count), absl::UnavailableError("not yet"));
  EXPECT_EQ(runtime_.refusals, 97);
}

TEST_F(CriClientTest, AnswersAndErrorsAreTheServers) {
  Serve();
  CriClient client(socket_);
  EXPECT_EQ(client.Version(cri::VersionRequest())->runtime_name(), "fake");
  cri::ContainerStatusRequest request;
  request.set_container_id("abc");
  EXPECT_EQ(client.ContainerStatus(request).status(), absl::NotFoundError("no container abc"));
  EXPECT_EQ(client.ListImages(cri::ListImagesRequest()).status().code(), absl::StatusCode::kUnimplemented);
}

TEST_F(CriClientTest, TakesLargeMessages) {
  Serve();
  CriClient client(socket_);
  EXPECT_EQ(client.ExecSync(cri::ExecSyncRequest())->stdout().size(), size_t{20 << 20});
}

TEST_F(CriClientTest, KeepsTheDeadline) {
  Serve();
  CriClient client(socket_);
  EXPECT_EQ(client.Status(cri::StatusRequest(), absl::Milliseconds(50)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(CriClientTest, WaitsForAServerAndSaysWhenThereIsNone) {
  CriClient client(socket_);
  EXPECT_EQ(client.WaitUntilServing(absl::Milliseconds(50)).code(), absl::StatusCode::kUnavailable);
  std::thread later([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    Serve();
  });
  EXPECT_EQ(client.WaitUntilServing(absl::Seconds(20)), absl::OkStatus());
  later.join();
}

TEST_F(CriClientTest, StreamsEndAndCanBeCancelled) {
  Serve();
  CriClient client(socket_);
  int messages = 0;
  EXPECT_EQ(client.StreamContainers(cri::StreamContainersRequest(),
                                    [&](const cri::StreamContainersResponse&) { ++messages; }),
            absl::OkStatus());
  EXPECT_EQ(messages, 3);
  auto events = client.GetContainerEvents();
  EXPECT_EQ(events->Next()->container_id(), "one");
  std::thread later([&] { events->Cancel(); });
  EXPECT_EQ(events->Next().status().code(), absl::StatusCode::kCancelled);
  later.join();
}

}  // namespace
}  // namespace berth
