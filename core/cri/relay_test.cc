// A hand-over as a client sees it that keeps its connection: one server, then another behind it.
#include "core/cri/relay.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/cri/client/cri_client.h"
#include "core/cri/event_stream.h"
#include "core/cri/guarded_service.h"
#include "core/cri/server.h"
#include "core/cri/stream_call.h"
#include "proto/cri/v1/api.grpc.pb.h"

namespace berth {
namespace {

constexpr int64_t kMillisecond = 1'000'000;
constexpr int kListed = 1000;  // more than one message's

void WaitFor(const std::function<bool()>& condition) {
  const int64_t deadline = MonotonicNanos() + 20'000 * kMillisecond;
  bool met = condition();
  for (; !met && MonotonicNanos() < deadline; met = condition())
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  ASSERT_TRUE(met);
}

// A daemon's service: tells its name, and stops containers when the test says so.
class NamedRuntime : public GuardedService<cri::RuntimeService, NamedRuntime> {
 public:
  NamedRuntime(const std::string& name, const CallRoute& route) : GuardedService(route), name_(name), route_(route) {
    Guard("Version", &NamedRuntime::Version);
    Guard("StopContainer", &NamedRuntime::StopContainer);
    Guard("RemoveContainer", &NamedRuntime::RemoveContainer);
  }

  grpc::ServerUnaryReactor* Version(grpc::CallbackServerContext*, const cri::VersionRequest* request,
                                    cri::VersionResponse* response) override {
    auto call = UnaryCall::Start(route_.calls);
    call->Answer(absl::OkStatus(), [&] { response->set_runtime_name(name_ + request->version()); });
    return call.get();
  }
  grpc::ServerUnaryReactor* StopContainer(grpc::CallbackServerContext* context,
                                          const cri::StopContainerRequest* request,
                                          cri::StopContainerResponse* response) override {
    auto call = UnaryCall::Start<MovableCall>(route_.calls);
    call->OnMove([this, context, response, again = *request](auto moved) {
      route_.relay->Unary("/runtime.v1.RuntimeService/StopContainer", context, again, response, moved);
    });
    std::lock_guard lock(mutex_);
    stopping_.push_back({request->container_id(), call});
    return call.get();
  }
  grpc::ServerUnaryReactor* RemoveContainer(grpc::CallbackServerContext*, const cri::RemoveContainerRequest*,
                                            cri::RemoveContainerResponse*) override {
    auto call = UnaryCall::Start(route_.calls);
    call->Answer(absl::FailedPreconditionError(name_ + " says no"));
    return call.get();
  }
  grpc::ServerWriteReactor<cri::ContainerEventResponse>* GetContainerEvents(grpc::CallbackServerContext* context,
                                                                            const cri::GetEventsRequest* r) override {
    const CallGate::Entry entry = route_.gate->Enter();
    if (entry.by_successor()) {
      return route_.relay->Stream<cri::GetEventsRequest, cri::ContainerEventResponse>(
          kEventsMethod, context, *r, route_.calls, OpenCalls::Length::kEndless);
    }
    return EventStream::Start(context, &bus, route_.calls, route_.relay);
  }
  grpc::ServerWriteReactor<cri::StreamContainersResponse>* StreamContainers(
      grpc::CallbackServerContext* context, const cri::StreamContainersRequest* request) override {
    const CallGate::Entry entry = route_.gate->Enter();
    if (entry.by_successor()) {
      return route_.relay->Stream<cri::StreamContainersRequest, cri::StreamContainersResponse>(
          "/runtime.v1.RuntimeService/StreamContainers", context, *request, route_.calls, OpenCalls::Length::kFinite);
    }
    std::vector<std::shared_ptr<int>> items;
    for (int i = 0; i < kListed; ++i) items.push_back(std::make_shared<int>(i));
    const absl::Status status =
        request->filter().id().empty() ? absl::OkStatus() : absl::InvalidArgumentError(name_ + " knows no such id");
    return StreamList<cri::StreamContainersResponse>(
        context, route_.calls, status, std::move(items), [this](int item, cri::StreamContainersResponse* message) {
          message->add_containers()->set_id(absl::StrCat(name_, item, std::string(2000, ' ')));
        });
  }

  // The containers that are being stopped; `Stopped` answers for them.
  std::vector<std::string> stopping() {
    std::lock_guard lock(mutex_);
    std::vector<std::string> ids;
    for (const auto& [id, call] : stopping_) ids.push_back(id);
    return ids;
  }
  void Stopped() {
    std::lock_guard lock(mutex_);
    for (const auto& [id, call] : stopping_) call->Answer(absl::OkStatus());
    stopping_.clear();
  }
  void Tell(const std::string& id) {
    cri::ContainerEventResponse message;
    message.set_container_id(id);
    Event event;
    event.topic = Topic::kContainer;
    event.payload = message.SerializeAsString();
    bus.Publish(std::move(event));
  }

  EventBus bus;

 private:
  const std::string name_;
  const CallRoute route_;
  std::mutex mutex_;
  std::vector<std::pair<std::string, std::shared_ptr<MovableCall>>> stopping_;
};

struct FakeDaemon {
  FakeDaemon(const std::string& name, const std::string& socket, const std::string& successor) : relay(successor) {
    CriServerOptions options;
    options.socket = socket;
    options.calls = &calls;
    runtime = std::make_unique<NamedRuntime>(name, CallRoute{&calls, &budget, &gate, &relay});
    options.services = {runtime.get()};
    auto started = CriServer::Start(options);
    EXPECT_TRUE(started.ok()) << started.status();
    server = *std::move(started);
  }
  ~FakeDaemon() {
    runtime->Stopped();
    server.reset();
    EXPECT_EQ(calls.size(), 0u);
  }
  OpenCalls calls;
  RequestBudget budget;
  CallGate gate;
  Relay relay;
  std::unique_ptr<NamedRuntime> runtime;
  std::unique_ptr<CriServer> server;
};

class RelayTest : public testing::Test {
 protected:
  void SetUp() override {
    char directory[] = "/tmp/relay_test.XXXXXX";
    ASSERT_NE(mkdtemp(directory), nullptr);
    directory_ = directory;
    old_ = std::make_unique<FakeDaemon>("old", directory_ + "/old.sock", directory_ + "/next.sock");
    client_ = std::make_unique<CriClient>(directory_ + "/old.sock");
    ASSERT_EQ(client_->Version({})->runtime_name(), "old");
  }
  void TearDown() override {
    client_.reset();
    old_.reset();
    next_.reset();
    EXPECT_TRUE(RemoveTree(directory_).ok());
  }
  void StartNext() {
    next_ = std::make_unique<FakeDaemon>("next", directory_ + "/next.sock", directory_ + "/none.sock");
  }
  void HandOverCalls() {
    old_->gate.Close();
    EXPECT_EQ(old_->calls.WaitForHandOver(MonotonicNanos() + 20'000 * kMillisecond), 0u);
    old_->gate.Open(Served::kBySuccessor);
    old_->calls.MoveAll();
  }

  std::string directory_;
  std::unique_ptr<FakeDaemon> old_, next_;
  std::unique_ptr<CriClient> client_;
};

TEST_F(RelayTest, CallsWaitForTheSuccessorAndAreAnsweredByIt) {
  old_->gate.Close();
  absl::StatusOr<cri::VersionResponse> held = absl::UnknownError("none"), late = held;
  std::thread first([&] { held = client_->Version({}); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  old_->gate.Open(Served::kBySuccessor);
  std::thread second([&] {
    cri::VersionRequest request;
    request.set_version(" asked late");
    late = client_->Version(request);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  StartNext();
  first.join();
  second.join();
  ASSERT_TRUE(held.ok()) << held.status();
  EXPECT_EQ(held->runtime_name(), "next");
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_EQ(late->runtime_name(), "next asked late");
  const absl::Status refused = client_->RemoveContainer({}).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(refused.message(), "next says no");
}

TEST_F(RelayTest, ACallThatLastsMoves) {
  absl::Status stopped = absl::UnknownError("none");
  std::thread stop([&] {
    cri::StopContainerRequest request;
    request.set_container_id("c1");
    stopped = client_->StopContainer(request).status();
  });
  WaitFor([&] { return old_->runtime->stopping().size() == 1; });
  HandOverCalls();
  old_->runtime->Stopped();  // what still comes of it here is for nobody
  StartNext();
  WaitFor([&] { return next_->runtime->stopping() == std::vector<std::string>{"c1"}; });
  EXPECT_EQ(stopped.code(), absl::StatusCode::kUnknown) << "it is not answered yet";
  next_->runtime->Stopped();
  stop.join();
  EXPECT_EQ(stopped, absl::OkStatus());
}

TEST_F(RelayTest, ACallThatHasEndedDoesNotMove) {
  std::thread stop([&] { EXPECT_EQ(client_->StopContainer({}).status(), absl::OkStatus()); });
  WaitFor([&] { return old_->runtime->stopping().size() == 1; });
  old_->runtime->Stopped();
  stop.join();
  HandOverCalls();
  StartNext();
  EXPECT_EQ(client_->Version({})->runtime_name(), "next");
  EXPECT_TRUE(next_->runtime->stopping().empty());
}

TEST_F(RelayTest, AClientThatGivesUpIsNotWaitedFor) {
  HandOverCalls();
  EXPECT_EQ(client_->Version({}, absl::Milliseconds(50)).status().code(), absl::StatusCode::kDeadlineExceeded);
  WaitFor([&] { return old_->calls.size() == 0; });
}

TEST_F(RelayTest, WhenNobodyComesADrainEndsWhatWaits) {
  HandOverCalls();
  absl::Status answered;
  std::thread call([&] { answered = client_->Version({}).status(); });
  WaitFor([&] { return old_->calls.size() == 1; });
  old_->server->Drain(MonotonicNanos());
  call.join();
  EXPECT_EQ(answered.code(), absl::StatusCode::kUnavailable);
}

TEST_F(RelayTest, ListsAreTheSuccessors) {
  HandOverCalls();
  absl::Status listed = absl::UnknownError("none");
  std::vector<std::string> ids;
  int messages = 0;
  std::thread list([&] {
    listed = client_->StreamContainers({}, [&](const cri::StreamContainersResponse& part) {
      ++messages;
      for (const auto& container : part.containers()) ids.push_back(container.id());
    });
  });
  WaitFor([&] { return old_->calls.size() == 1; });  // it waits for somebody who answers
  StartNext();
  list.join();
  EXPECT_EQ(listed, absl::OkStatus());
  EXPECT_GT(messages, 1);
  ASSERT_EQ(ids.size(), size_t{kListed});
  for (int i = 0; i < kListed; ++i) EXPECT_TRUE(absl::StartsWith(ids[i], absl::StrCat("next", i, " "))) << ids[i];

  cri::StreamContainersRequest bad;
  bad.mutable_filter()->set_id("x");
  const absl::Status refused = client_->StreamContainers(bad, [](const auto&) {});
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refused.message(), "next knows no such id");
  WaitFor([&] { return old_->calls.size() == 0 && next_->calls.size() == 0; });
}

TEST_F(RelayTest, EventsGoOnWithTheSuccessors) {
  auto stream = client_->GetContainerEvents();
  old_->runtime->Tell("1");
  EXPECT_EQ(stream->Next()->container_id(), "1");
  old_->gate.Close();
  old_->runtime->Tell("2");
  old_->gate.Open(Served::kBySuccessor);
  old_->calls.MoveAll();
  old_->runtime->Tell("3");  // of work that was still going on
  StartNext();
  next_->runtime->bus.KeepBacklog(kContainerEventTopics, 10, BacklogFor::kEveryone);
  next_->runtime->Tell("4");
  auto fresh = client_->GetContainerEvents();  // asked of the old one
  for (const char* id : {"2", "3", "4"}) EXPECT_EQ(stream->Next()->container_id(), id);
  EXPECT_EQ(fresh->Next()->container_id(), "4");
  next_->runtime->Tell("5");
  EXPECT_EQ(stream->Next()->container_id(), "5");
  EXPECT_EQ(fresh->Next()->container_id(), "5");
  stream->Cancel();
  EXPECT_FALSE(stream->Next().ok());
  WaitFor([&] { return next_->calls.size() == 1 && old_->calls.size() == 1; });
  old_->calls.EndEndless();
  EXPECT_EQ(fresh->Next().status().code(), absl::StatusCode::kUnavailable);
  WaitFor([&] { return next_->calls.size() == 0; });
}

}  // namespace
}  // namespace berth
