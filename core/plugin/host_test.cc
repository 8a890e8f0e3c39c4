// Host services as a plugin sees them: through the SDK, over the C ABI.
#include "core/plugin/host.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "berth/sdk/host.h"
#include "core/base/clock.h"
#include "core/base/unique_fd.h"
#include "gtest/gtest.h"

namespace berth {
namespace {

sdk::Command Shell(const std::string& script) {
  sdk::Command command;
  command.argv = {"/bin/sh", "-c", script};
  command.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "GREETING=hello"};
  return command;
}

class FakeSupervisor : public SupervisorService {
 public:
  absl::StatusOr<SupervisedResult> Run(const Call& call, const SupervisedCommand& command) override {
    call_ = call;
    command_ = command;
    if (command.pod_id == "gone") return absl::UnavailableError("the supervisor is gone");
    return SupervisedResult{256, 4711, "out", "err"};
  }
  Call call_;
  SupervisedCommand command_;
};

class HostTest : public testing::Test {
 protected:
  HostTest() {
    services_.root = "/r";
    services_.state = "/s";
    services_.bus = &bus_;
    services_.metrics = &metrics_;
    services_.supervisor = &supervisor_;
    host_ = std::make_unique<PluginHost>(services_, "mine", ConfigValue::Table{});
  }
  sdk::Host host() const { return sdk::Host(host_->raw()); }

  EventBus bus_;
  PluginMetrics metrics_;
  FakeSupervisor supervisor_;
  HostServices services_;
  std::unique_ptr<PluginHost> host_;
};

TEST_F(HostTest, SaysWhoAndWhere) {
  EXPECT_EQ(host().instance(), "mine");
  EXPECT_EQ(host().root(), "/r");
  EXPECT_EQ(host().state(), "/s");
  host().LogInfo("a line \xff with \n anything");
  host().Log(static_cast<sdk::Severity>(99), "");
}

TEST_F(HostTest, ConfigurationOfEveryType) {
  ConfigValue::Table config;
  config["s"].value = std::string("text");
  config["i"].value = int64_t{-5};
  config["f"].value = 2.5;
  config["b"].value = true;
  config["a"].value = ConfigValue::Array{ConfigValue{int64_t{1}}, ConfigValue{int64_t{2}}};
  config["t"].value = ConfigValue::Table{{"x", ConfigValue{std::string("deep")}}, {"y", ConfigValue{int64_t{1}}}};
  config["ts"].value = ConfigValue::Array{ConfigValue{ConfigValue::Table{{"k", ConfigValue{int64_t{7}}}}}};
  const PluginHost host(services_, "mine", config);
  const sdk::Config c = sdk::Host(host.raw()).config();
  EXPECT_EQ(host.UnreadKeys(), (std::vector<std::string>{"a", "b", "f", "i", "s", "t", "ts"}));
  EXPECT_EQ(c.Keys(), (std::vector<std::string>{"a", "b", "f", "i", "s", "t", "ts"}));
  EXPECT_EQ(host.UnreadKeys().size(), 7u) << "names are not values";
  EXPECT_EQ(c.String("s", ""), "text");
  EXPECT_EQ(c.Int("i", 0), -5);
  EXPECT_EQ(c.Float("f", 0), 2.5);
  EXPECT_EQ(c.Float("i", 0), -5);
  EXPECT_TRUE(c.Bool("b", false));
  EXPECT_EQ(c.Ints("a"), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(c.Table("t").String("x", ""), "deep");
  EXPECT_EQ(c.Tables("ts").at(0).Int("k", 0), 7);
  EXPECT_EQ(host.UnreadKeys(), (std::vector<std::string>{"t.y"}));
  EXPECT_EQ(c.String("none", "fallback"), "fallback");
  EXPECT_FALSE(c.Has("none"));
  EXPECT_EQ(c.Table("none").Int("x", 3), 3);
  EXPECT_THROW(c.Table("t").Int("x", 0), sdk::internal::StatusException);
}

TEST_F(HostTest, RunsCommands) {
  sdk::Command command = Shell("echo $GREETING; cat; echo oops >&2; pwd; exit 3");
  command.input = "in";
  const auto result = host().Spawn(sdk::Call(), command);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->out, "hello\nin/\n");
  EXPECT_EQ(result->err, "oops\n");
  EXPECT_EQ(WEXITSTATUS(result->wait_status), 3);
  EXPECT_FALSE(result->truncated);
}

TEST_F(HostTest, RunsCommandsInANetworkNamespace) {
  UniqueFd netns;
  std::thread([&] {
    if (unshare(CLONE_NEWNET) == 0) netns = UniqueFd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  }).join();
  if (!netns) GTEST_SKIP() << "may not make a network namespace";
  struct stat st = {};
  ASSERT_EQ(fstat(netns.get(), &st), 0);
  sdk::Command command = Shell("stat -L -c %i /proc/self/ns/net");
  command.netns_fd = netns.get();
  const auto result = host().Spawn(sdk::Call(), command);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->out, std::to_string(st.st_ino) + "\n");
}

TEST_F(HostTest, CommandsEndInTime) {
  sdk::Call call;
  call.deadline_ns = MonotonicNanos() + 100'000'000;
  EXPECT_EQ(host().Spawn(call, Shell("sleep 1000")).status().code(), sdk::Code::kDeadlineExceeded);
  sdk::Command loud = Shell("head -c 100000 /dev/zero");
  loud.output_limit = 10;
  const auto result = host().Spawn(sdk::Call(), loud);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->out.size(), 10u);
  EXPECT_TRUE(result->truncated);
}

TEST_F(HostTest, CommandsThatAreNoneAreRefused) {
  using sdk::Code;
  const auto code = [&](const sdk::Command& command) { return host().Spawn(sdk::Call(), command).status().code(); };
  sdk::Command c;
  EXPECT_EQ(code(c), Code::kInvalidArgument);
  c.argv = {"relative"};
  EXPECT_EQ(code(c), Code::kInvalidArgument);
  c.argv = {"/nowhere/program"};
  EXPECT_EQ(code(c), Code::kNotFound);
  c = Shell("true");
  c.env.push_back(std::string("A=\0", 3));
  EXPECT_EQ(code(c), Code::kInvalidArgument);
  c = Shell("true");
  c.directory = "relative";
  EXPECT_EQ(code(c), Code::kInvalidArgument);
  c = Shell("true");
  c.cgroup_directories = {"/sys/fs/cgroup/../../etc"};
  EXPECT_EQ(code(c), Code::kInvalidArgument);
  c.cgroup_directories = {"/nowhere"};
  EXPECT_EQ(code(c), Code::kNotFound);
  c = Shell("true");
  c.argv.resize(5000, "x");
  EXPECT_EQ(code(c), Code::kInvalidArgument);
}

TEST_F(HostTest, RunsCommandsInASupervisor) {
  sdk::SupervisedCommand command;
  command.purpose = sdk::SupervisedCommand::Purpose::kCreate;
  command.pod_id = "p";
  command.container_id = "c";
  command.exec_id = "e";
  command.argv = {"/bin/crun", "create"};
  command.env = {"A=b"};
  command.pid_file = "/run/pid";
  sdk::Call call;
  call.trace_id = "trace";
  call.deadline_ns = 5;
  const auto result = host().RunSupervised(call, command);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->pid, 4711);
  EXPECT_EQ(result->wait_status, 256);
  EXPECT_EQ(result->out + result->err, "outerr");
  EXPECT_EQ(supervisor_.command_.purpose, SupervisedCommand::Purpose::kCreate);
  EXPECT_EQ(supervisor_.command_.argv, command.argv);
  EXPECT_EQ(supervisor_.command_.env, command.env);
  EXPECT_EQ(supervisor_.command_.pod_id + supervisor_.command_.container_id + supervisor_.command_.exec_id, "pce");
  EXPECT_EQ(supervisor_.command_.pid_file, "/run/pid");
  EXPECT_EQ(supervisor_.call_.trace_id, "trace");
  EXPECT_EQ(supervisor_.call_.deadline_ns, 5);

  command.pod_id = "gone";
  const sdk::Status status = host().RunSupervised(call, command).status();
  EXPECT_EQ(status.code(), sdk::Code::kUnavailable);
  EXPECT_EQ(status.message(), "the supervisor is gone");
  command.purpose = static_cast<sdk::SupervisedCommand::Purpose>(9);
  EXPECT_EQ(host().RunSupervised(call, command).status().code(), sdk::Code::kInvalidArgument);
}

TEST_F(HostTest, EventsGoBothWays) {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<sdk::Event> seen;
  auto subscription = host().Subscribe(BERTH_TOPIC_PLUGIN | BERTH_TOPIC_IMAGE, [&](const sdk::Event& event) {
    const std::lock_guard lock(mutex);
    seen.push_back(event);
    changed.notify_one();
  });
  ASSERT_TRUE(subscription.ok()) << subscription.status().message();
  host().Publish("mine.happened", "{\"a\":1}");
  host().Publish("Not A Name", "{}");
  host().Publish("too.long", std::string(100000, 'x'));
  host().Publish("not.text", "\xff");
  Event image;
  image.topic = Topic::kImage;
  image.type = EventType::kDeleted;
  image.id = "sha256:1";
  bus_.Publish(image);
  Event pod;
  pod.topic = Topic::kPod;
  bus_.Publish(pod);
  std::unique_lock lock(mutex);
  ASSERT_TRUE(changed.wait_for(lock, std::chrono::seconds(10), [&] { return seen.size() == 2; }));
  EXPECT_EQ(seen[0].topic, BERTH_TOPIC_PLUGIN);
  EXPECT_EQ(seen[0].id, "mine.happened");
  EXPECT_EQ(seen[0].payload, "{\"a\":1}");
  EXPECT_EQ(seen[1].topic, BERTH_TOPIC_IMAGE);
  EXPECT_EQ(seen[1].type, BERTH_EVENT_DELETED);
  EXPECT_EQ(seen[1].id, "sha256:1");
  EXPECT_GT(seen[1].sequence, seen[0].sequence);
}

TEST_F(HostTest, NoEventAfterTheSubscriptionEnded) {
  std::atomic<int> seen{0};
  for (int i = 0; i < 50; ++i) {
    auto subscription = host().Subscribe(BERTH_TOPIC_PLUGIN, [&](const sdk::Event&) { ++seen; });
    ASSERT_TRUE(subscription.ok());
    host().Publish("a", "{}");
    (*subscription).Cancel();
    const int before = seen;
    host().Publish("b", "{}");
    EXPECT_EQ(seen, before);
  }
}

TEST_F(HostTest, SubscriptionsThatAPluginForgotEndWithIt) {
  auto* forgotten = new std::function<void(const sdk::Event&)>([](const sdk::Event&) {});
  berth_event_handler handler{sizeof(handler), BERTH_TOPIC_PLUGIN, forgotten, [](void*, const berth_event*) {}};
  uint64_t id = 0;
  berth_error err = sdk::internal::NewError();
  EXPECT_EQ(host_->raw()->subscribe(host_->raw()->ctx, &handler, &id, &err), BERTH_OK);
  handler.struct_size = 4;
  EXPECT_EQ(host_->raw()->subscribe(host_->raw()->ctx, &handler, &id, &err), BERTH_INVALID_ARGUMENT);
  EXPECT_EQ(host_->raw()->subscribe(host_->raw()->ctx, nullptr, &id, &err), BERTH_INVALID_ARGUMENT);
  host_.reset();
  delete forgotten;
  Event event;
  event.topic = Topic::kPlugin;
  bus_.Publish(event);
}

TEST_F(HostTest, CountsMetrics) {
  host().CounterAdd("pulls_total", 2, {{"result", "o\"k"}});
  host().CounterAdd("pulls_total", 1, {{"result", "o\"k"}});
  host().CounterAdd("pulls_total", -1);
  host().CounterAdd("Bad Name");
  host().GaugeSet("pulls_total", 5);
  host().GaugeSet("depth", 3);
  host().GaugeSet("depth", 2.5);
  host().GaugeSet("depth", 1, {{"instance", "forged"}});
  EXPECT_EQ(metrics_.Text(),
            "# TYPE berth_plugin_depth gauge\n"
            "berth_plugin_depth{instance=\"mine\"} 2.5\n"
            "# TYPE berth_plugin_pulls_total counter\n"
            "berth_plugin_pulls_total{instance=\"mine\",result=\"o\\\"k\"} 3\n");
  for (size_t i = 0; i < PluginMetrics::kMaxSeries; ++i) {
    metrics_.CounterAdd("mine", "many", {{"i", std::to_string(i)}}, 1).IgnoreError();
  }
  EXPECT_EQ(metrics_.CounterAdd("mine", "many", {{"i", "more"}}, 1).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(metrics_.CounterAdd("other", "many", {}, 1).ok());
}

TEST_F(HostTest, WithoutServicesNothingBreaks) {
  const PluginHost bare(HostServices(), "mine", {});
  const sdk::Host host(bare.raw());
  host.Publish("a", "{}");
  host.CounterAdd("a");
  EXPECT_EQ(host.Subscribe(1, [](const sdk::Event&) {}).status().code(), sdk::Code::kUnimplemented);
  EXPECT_EQ(host.RunSupervised(sdk::Call(), {}).status().code(), sdk::Code::kUnimplemented);
}

}  // namespace
}  // namespace berth
