#include "core/cri/server.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <thread>

#include "core/base/clock.h"
#include "core/bus/event_bus.h"
#include "core/cri/client/cri_client.h"
#include "core/cri/event_stream.h"
#include "core/cri/listener.h"
#include "core/cri/stream_call.h"
#include "core/cri/unary_call.h"
#include "proto/cri/v1/api.grpc.pb.h"

namespace berth {
namespace {

constexpr int64_t kMillisecond = 1'000'000;

// Answers when the test says so.
class FakeRuntime : public cri::RuntimeService::CallbackService {
 public:
  explicit FakeRuntime(OpenCalls* calls) : calls_(calls) {}
  ~FakeRuntime() override { Release(); }

  grpc::ServerUnaryReactor* Version(grpc::CallbackServerContext*, const cri::VersionRequest*,
                                    cri::VersionResponse* response) override {
    auto call = UnaryCall::Start(calls_);
    call->Answer(absl::OkStatus(), [&] { response->set_runtime_name("fake"); });
    return call.get();
  }
  grpc::ServerUnaryReactor* StopContainer(grpc::CallbackServerContext*, const cri::StopContainerRequest*,
                                          cri::StopContainerResponse*) override {
    auto call = UnaryCall::Start(calls_);
    std::lock_guard lock(mutex_);
    waiting_.push_back(call);
    return call.get();
  }
  grpc::ServerWriteReactor<cri::StreamContainersResponse>* StreamContainers(
      grpc::CallbackServerContext* context, const cri::StreamContainersRequest* request) override {
    std::vector<std::shared_ptr<int>> items;
    for (int i = 0; i < 1000; ++i) items.push_back(std::make_shared<int>(i));
    const absl::Status status =
        request->filter().id().empty() ? absl::OkStatus() : absl::InvalidArgumentError("not that id");
    return StreamList<cri::StreamContainersResponse>(
        context, calls_, status, items, [](int item, cri::StreamContainersResponse* message) {
          message->add_containers()->set_id(std::to_string(item) + std::string(2000, ' '));
        });
  }
  grpc::ServerWriteReactor<cri::ContainerEventResponse>* GetContainerEvents(grpc::CallbackServerContext* context,
                                                                            const cri::GetEventsRequest*) override {
    return EventStream::Start(context, &bus, calls_, nullptr);
  }

  size_t waiting() {
    std::lock_guard lock(mutex_);
    return waiting_.size();
  }
  void Release() {
    std::lock_guard lock(mutex_);
    for (const auto& call : waiting_) call->Answer(absl::OkStatus());
    waiting_.clear();
  }

  EventBus bus;

 private:
  OpenCalls* const calls_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<UnaryCall>> waiting_;
};

void WaitFor(const std::function<bool()>& condition) {
  const int64_t deadline = MonotonicNanos() + 20'000 * kMillisecond;
  bool met = condition();
  for (; !met && MonotonicNanos() < deadline; met = condition())
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  ASSERT_TRUE(met);
}

Event ContainerEvent(const std::string& id, size_t padding = 0) {
  cri::ContainerEventResponse message;
  message.set_container_id(id);
  message.mutable_pod_sandbox_status()->set_id(std::string(padding, 'x'));
  Event event;
  event.topic = Topic::kContainer;
  event.id = id;
  event.payload = message.SerializeAsString();
  return event;
}

UniqueFd BindAt(const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {AF_UNIX, {}};
  path.copy(address.sun_path, sizeof(address.sun_path));
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  return fd;
}

class CriServerTest : public testing::Test {
 protected:
  void SetUp() override {
    char directory[] = "/tmp/cri_server_test.XXXXXX";
    ASSERT_NE(mkdtemp(directory), nullptr);
    directory_ = directory;
    options_.socket = directory_ + "/sub/cri.sock";
    options_.services = {&runtime_};
    options_.calls = &calls_;
  }
  void TearDown() override {
    server_.reset();
    EXPECT_EQ(calls_.size(), 0u);
    unlink(options_.socket.c_str());
    EXPECT_EQ(rmdir((directory_ + "/sub").c_str()), 0) << "nothing else is left";
    rmdir(directory_.c_str());
  }
  void Serve() {
    auto server = CriServer::Start(options_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  bool Exists() const { return access(options_.socket.c_str(), F_OK) == 0; }

  std::string directory_;
  OpenCalls calls_;
  FakeRuntime runtime_{&calls_};
  CriServerOptions options_;
  std::unique_ptr<CriServer> server_;
};

TEST_F(CriServerTest, ServesOnASocketOfItsOwn) {
  Serve();
  struct stat info;
  ASSERT_EQ(stat(options_.socket.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0660u);
  CriClient client(options_.socket);
  EXPECT_EQ(client.Version({})->runtime_name(), "fake");
  EXPECT_EQ(client.Status({}).status().code(), absl::StatusCode::kUnimplemented);
  server_->Drain(MonotonicNanos());
  EXPECT_FALSE(Exists());
}

TEST_F(CriServerTest, ConnectionsAreThoseOfItsSocket) {
  Serve();
  EXPECT_EQ(CountConnections(options_.socket).value(), 0u);
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {AF_UNIX, {}};
  options_.socket.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const auto becomes = [this](size_t count) {
    while (CountConnections(options_.socket).value() != count) std::this_thread::yield();
  };
  becomes(1);
  fd.reset();
  becomes(0);
}

TEST_F(CriServerTest, ManyClientsAtOnce) {
  Serve();
  std::atomic<int> answered{0};
  std::vector<std::thread> clients;
  for (int t = 0; t < 8; ++t) {
    clients.emplace_back([&, t] {
      for (int i = 0; i < 5; ++i) {
        // Another argument each time: gRPC shares the connection of equal channels.
        grpc::ChannelArguments args;
        args.SetInt("test", t * 100 + i);
        auto stub = cri::RuntimeService::NewStub(
            grpc::CreateCustomChannel("unix:" + options_.socket, grpc::InsecureChannelCredentials(), args));
        for (int j = 0; j < 20; ++j) {
          grpc::ClientContext context;
          cri::VersionResponse response;
          if (stub->Version(&context, {}, &response).ok()) ++answered;
        }
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(answered, 800);
}

TEST_F(CriServerTest, ALiveSocketIsNotTaken) {
  Serve();
  auto second = CriServer::Start(options_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition) << second.status();
  EXPECT_EQ(CriClient(options_.socket).Version({})->runtime_name(), "fake") << "the first is not disturbed";
}

TEST_F(CriServerTest, AStaleSocketIsReplaced) {
  ASSERT_EQ(mkdir((directory_ + "/sub").c_str(), 0700), 0);
  for (const std::string& path : {options_.socket, options_.socket + ".new"}) {
    BindAt(path);  // closed at once: as a kill -9 leaves it
    ASSERT_EQ(access(path.c_str(), F_OK), 0);
  }
  Serve();
  EXPECT_EQ(CriClient(options_.socket).Version({})->runtime_name(), "fake");
}

TEST_F(CriServerTest, WhatIsNoSocketStays) {
  ASSERT_EQ(mkdir((directory_ + "/sub").c_str(), 0700), 0);
  UniqueFd fd(open(options_.socket.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  auto server = CriServer::Start(options_);
  EXPECT_EQ(server.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Exists());
}

TEST_F(CriServerTest, ImpossiblePathsAreRefused) {
  CriServerOptions options = options_;
  options.socket = "/tmp/" + std::string(120, 'x');
  EXPECT_EQ(CriServer::Start(options).status().code(), absl::StatusCode::kInvalidArgument);
  options.socket = "relative.sock";
  EXPECT_EQ(CriServer::Start(options).status().code(), absl::StatusCode::kInvalidArgument);
  ASSERT_EQ(mkdir((directory_ + "/sub").c_str(), 0700), 0);
}

TEST_F(CriServerTest, ASuccessorsSocketIsNotRemoved) {
  Serve();
  const std::string other = directory_ + "/sub/other";
  const UniqueFd fd = BindAt(other);
  ASSERT_EQ(rename(other.c_str(), options_.socket.c_str()), 0);
  server_.reset();
  EXPECT_TRUE(Exists());
}

TEST_F(CriServerTest, ADrainWaitsForOpenCalls) {
  Serve();
  absl::Status answer = absl::UnknownError("none");
  std::thread caller([&] { answer = CriClient(options_.socket).StopContainer({}).status(); });
  WaitFor([&] { return runtime_.waiting() == 1; });
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    runtime_.Release();
  });
  const int64_t before = MonotonicNanos();
  server_->Drain(before + 20'000 * kMillisecond);
  EXPECT_GT(MonotonicNanos() - before, 150 * kMillisecond);
  EXPECT_LT(MonotonicNanos() - before, 10'000 * kMillisecond);
  caller.join();
  later.join();
  EXPECT_EQ(answer, absl::OkStatus());
}

TEST_F(CriServerTest, ADrainDoesNotWaitForEver) {
  Serve();
  absl::Status answer;
  std::thread caller([&] { answer = CriClient(options_.socket).StopContainer({}).status(); });
  WaitFor([&] { return runtime_.waiting() == 1; });
  server_->Drain(MonotonicNanos() + 100 * kMillisecond);
  caller.join();
  EXPECT_EQ(answer.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(answer.message().find("stopping"), absl::string_view::npos) << answer;
  runtime_.Release();  // the work ends after its call: nothing is touched
}

TEST_F(CriServerTest, ACancelledCallIsFinishedAllTheSame) {
  Serve();
  EXPECT_EQ(CriClient(options_.socket).StopContainer({}, absl::Milliseconds(50)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(runtime_.waiting(), 1u);
  EXPECT_EQ(calls_.size(), 1u);
  runtime_.Release();
  WaitFor([&] { return calls_.size() == 0; });
}

TEST_F(CriServerTest, ListsAreStreamedInParts) {
  Serve();
  CriClient client(options_.socket);
  std::vector<std::string> ids;
  int messages = 0;
  EXPECT_EQ(client.StreamContainers({},
                                    [&](const cri::StreamContainersResponse& part) {
                                      ++messages;
                                      for (const auto& c : part.containers()) ids.push_back(c.id());
                                    }),
            absl::OkStatus());
  EXPECT_EQ(messages, 4);
  ASSERT_EQ(ids.size(), 1000u);
  EXPECT_EQ(std::stoi(ids.back()), 999);
  cri::StreamContainersRequest bad;
  bad.mutable_filter()->set_id("x");
  EXPECT_EQ(client.StreamContainers(bad, [](const auto&) {}).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(CriServerTest, EventsReachEverySubscriberInOrder) {
  Serve();
  CriClient client(options_.socket);
  auto one = client.GetContainerEvents(), two = client.GetContainerEvents();
  for (int i = 0; i < 300; ++i) runtime_.bus.Publish(ContainerEvent(std::to_string(i)));
  for (auto* stream : {one.get(), two.get()}) {
    for (int i = 0; i < 300; ++i) ASSERT_EQ(stream->Next()->container_id(), std::to_string(i));
  }
  one->Cancel();
  EXPECT_FALSE(one->Next().ok());
  WaitFor([&] { return calls_.size() == 1; });
  runtime_.bus.Publish(ContainerEvent("last"));
  EXPECT_EQ(two->Next()->container_id(), "last");
}

TEST_F(CriServerTest, ADrainEndsEventStreams) {
  Serve();
  CriClient client(options_.socket);
  auto stream = client.GetContainerEvents();
  const int64_t before = MonotonicNanos();
  std::thread drain([&] { server_->Drain(before + 20'000 * kMillisecond); });
  EXPECT_EQ(stream->Next().status().code(), absl::StatusCode::kUnavailable);
  drain.join();
  EXPECT_LT(MonotonicNanos() - before, 5'000 * kMillisecond);
}

TEST_F(CriServerTest, AClientThatDoesNotReadHoldsNobodyUp) {
  Serve();
  CriClient client(options_.socket), other(options_.socket);
  auto idle = client.GetContainerEvents();
  const int64_t before = MonotonicNanos();
  // Far more than the connection's window and the ring hold.
  for (int i = 0; i < 3000; ++i) runtime_.bus.Publish(ContainerEvent(std::to_string(i), 10'000));
  EXPECT_LT(MonotonicNanos() - before, 10'000 * kMillisecond);
  EXPECT_EQ(other.Version({})->runtime_name(), "fake");
  const int64_t drain = MonotonicNanos();
  server_->Drain(drain + 20'000 * kMillisecond);
  EXPECT_LT(MonotonicNanos() - drain, 5'000 * kMillisecond);
}

TEST_F(CriServerTest, TooManyStreamsAreRefusedUntilOneEnds) {
  Serve();
  CriClient client(options_.socket);
  std::vector<std::unique_ptr<CriClient::EventStream>> streams;
  for (size_t i = 0; i < OpenCalls::kMostStreams; ++i) streams.push_back(client.GetContainerEvents());
  EXPECT_EQ(client.GetContainerEvents()->Next().status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(client.StreamContainers({}, [](const auto&) {}).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(client.Version({}).ok()) << "other calls go on";
  streams.back()->Cancel();
  streams.pop_back();
  WaitFor([&] { return client.StreamContainers({}, [](const auto&) {}).ok(); });
  for (const auto& stream : streams) stream->Cancel();
}

}  // namespace
}  // namespace berth
