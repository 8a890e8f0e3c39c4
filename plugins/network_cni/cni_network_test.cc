// The rules of CNI with plugins that misbehave in every way a plugin can.
#include "plugins/network_cni/cni_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "plugins/network_cni/fake_plugins.h"

namespace berth::network_cni {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kNetns[] = "/proc/self/ns/net";
constexpr char kTwo[] =
    R"({"cniVersion":"1.0.0","name":"two","plugins":[{"type":"first","x":1},{"type":"second","capabilities":{"portMappings":true}}]})";

sdk::PodNetwork Pod() { return TestPod("pod1", kNetns); }
sdk::PodNetwork Gone(const std::string& state = "") {
  sdk::PodNetwork pod = TestPod("pod1", "");
  pod.state = state;
  return pod;
}

// A list of `first` and `second`, of which `second` is the one that misbehaves.
struct Fixture {
  explicit Fixture(const std::string& second) {
    fake.WriteConfig("10-two.conflist", kTwo);
    fake.AddGoodPlugin("first", "10.1.0.2/24");
    fake.AddPlugin("second", second);
  }
  FakePlugins fake;
  CniNetwork network{fake.Options()};
};

constexpr char kEcho[] =
    R"([ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion":"1.0.0","ips":[{"address":"10.1.0.2/24"},{"address":"fd00::2/64"}]}'; exit 0)";

TEST(CniNetwork, ConnectsAndDisconnects) {
  Fixture f(kEcho);
  sdk::PodNetwork pod = Pod();
  pod.port_mappings = {{"tcp", 80, 8080, "127.0.0.1"}, {"udp", 53, 0, ""}};
  const auto result = f.network.Setup({}, pod);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_THAT(result->ips, ElementsAre("10.1.0.2", "fd00::2"));
  EXPECT_THAT(f.fake.TakeLog(), ElementsAre("ADD first eth0 /proc/self/ns/net", "ADD second eth0 /proc/self/ns/net"));

  const auto first = json::Parse(f.fake.Read("first.ADD.in"), "in", 1 << 20);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(*first, json::Value::parse(R"({"cniVersion":"1.0.0","name":"two","type":"first","x":1})"));
  const auto second = json::Parse(f.fake.Read("second.ADD.in"), "in", 1 << 20);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ((*second)["prevResult"]["ips"][0]["address"], "10.1.0.2/24");
  EXPECT_EQ((*second)["runtimeConfig"], json::Value::parse(R"({"portMappings":
      [{"hostPort":8080,"containerPort":80,"protocol":"tcp","hostIP":"127.0.0.1"}]})"));
  const std::string env = f.fake.Read("first.ADD.env");
  EXPECT_THAT(env, HasSubstr("CNI_CONTAINERID=pod1\n"));
  EXPECT_THAT(env, HasSubstr("CNI_PATH=" + f.fake.dir() + "/missing:" + f.fake.dir() + "/bin\n"));
  EXPECT_THAT(env, HasSubstr("CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;"
                             "K8S_POD_INFRA_CONTAINER_ID=pod1;K8S_POD_UID=0f9c8b3a-1111-2222-3333-444455556666\n"));

  // The configuration is another one now, and the namespace is gone.
  f.fake.WriteConfig("10-two.conflist", R"({"cniVersion":"1.0.0","name":"other","plugins":[{"type":"third"}]})");
  ASSERT_TRUE(f.network.Teardown({}, Gone(result->state)).ok());
  EXPECT_THAT(f.fake.TakeLog(), ElementsAre("DEL second eth0 ", "DEL first eth0 "));
  const auto del = json::Parse(f.fake.Read("second.DEL.in"), "in", 1 << 20);
  ASSERT_TRUE(del.ok());
  EXPECT_EQ((*del)["name"], "two");
  EXPECT_EQ((*del)["prevResult"]["ips"][1]["address"], "fd00::2/64");
  EXPECT_EQ((*del)["runtimeConfig"]["portMappings"][0]["hostPort"], 8080);
  EXPECT_THAT(f.fake.Read("second.DEL.env"), HasSubstr("CNI_NETNS=\n"));

  ASSERT_TRUE(f.network.Teardown({}, Gone(result->state)).ok()) << "again";
}

TEST(CniNetwork, TeardownWithoutStateUsesWhatWasKept) {
  Fixture f(kEcho);
  ASSERT_TRUE(f.network.Setup({}, Pod()).ok());
  f.fake.TakeLog();
  CniNetwork after_restart(f.fake.Options());
  ASSERT_TRUE(after_restart.Teardown({}, Gone()).ok());
  EXPECT_THAT(f.fake.TakeLog(), ElementsAre("DEL second eth0 ", "DEL first eth0 "));
  ASSERT_TRUE(after_restart.Teardown({}, Gone()).ok());
  EXPECT_THAT(f.fake.TakeLog(), IsEmpty()) << "nothing is known of it any more";
}

TEST(CniNetwork, TeardownOfDamagedStateUsesTodaysNetworks) {
  Fixture f(kEcho);
  ASSERT_TRUE(f.network.Setup({}, Pod()).ok());
  f.fake.TakeLog();
  std::ofstream(f.fake.dir() + "/cache/deep/pod1.json") << "";
  ASSERT_TRUE(f.network.Teardown({}, Gone("{garbage")).ok());
  EXPECT_THAT(f.fake.TakeLog(), ElementsAre("DEL second eth0 ", "DEL first eth0 "));
  EXPECT_FALSE(f.fake.warnings.empty());
}

// ---- plugins that misbehave at ADD: a clear error, and DEL for all of the list, in reverse.

sdk::Status FailedSetup(Fixture& f) {
  const auto result = f.network.Setup({}, Pod());
  EXPECT_FALSE(result.ok());
  EXPECT_THAT(f.fake.TakeLog(), ElementsAre("ADD first eth0 /proc/self/ns/net", "ADD second eth0 /proc/self/ns/net",
                                            "DEL second eth0 /proc/self/ns/net", "DEL first eth0 /proc/self/ns/net"));
  EXPECT_EQ(f.fake.Read("cache/deep/pod1.json"), "");
  EXPECT_THAT(f.fake.warnings, IsEmpty());
  return result.status();
}

TEST(CniNetwork, SaysWhatThePluginSaid) {
  Fixture f(R"([ "$CNI_COMMAND" = DEL ] && exit 0
    echo '{"cniVersion":"1.0.0","code":104,"msg":"no addresses left","details":"range 10.1.0.0/24"}'; exit 1)");
  EXPECT_EQ(FailedSetup(f).message(),
            "CNI plugin second: ADD for network two failed: no addresses left: range 10.1.0.0/24 (CNI code 104)");
}

TEST(CniNetwork, TryAgainLaterIsUnavailable) {
  Fixture f(R"([ "$CNI_COMMAND" = DEL ] && exit 0; echo '{"code":11,"msg":"busy"}'; exit 1)");
  EXPECT_EQ(FailedSetup(f).code(), sdk::Code::kUnavailable);
}

TEST(CniNetwork, GarbageIsQuoted) {
  Fixture f(R"([ "$CNI_COMMAND" = ADD ] && echo 'hello, I am no JSON'; exit 0)");
  EXPECT_EQ(FailedSetup(f).message(),
            "CNI plugin second: ADD for network two did not answer in JSON, its output: \"hello, I am no JSON\"");
}

TEST(CniNetwork, NoResultIsAnError) {
  Fixture f("exit 0");
  EXPECT_THAT(FailedSetup(f).message(), HasSubstr("without a result"));
}

TEST(CniNetwork, AListIsNoResult) {
  Fixture f("echo '[]'");
  EXPECT_THAT(FailedSetup(f).message(), HasSubstr("without a result"));
}

TEST(CniNetwork, NoAddressIsAnError) {
  Fixture f(R"(echo '{"cniVersion":"1.0.0","ips":[{"address":"nonsense"}]}')");
  EXPECT_THAT(FailedSetup(f).message(), HasSubstr("gave pod pod1 no address"));
}

TEST(CniNetwork, CrashIsNamed) {
  Fixture f(R"([ "$CNI_COMMAND" = DEL ] && exit 0; echo oops >&2; kill -SEGV $$)");
  EXPECT_EQ(FailedSetup(f).message(),
            "CNI plugin second: ADD for network two was killed by signal 11 (SIGSEGV), its standard error: \"oops\"");
}

TEST(CniNetwork, FailureWithoutCniError) {
  Fixture f(R"([ "$CNI_COMMAND" = DEL ] && exit 0; exit 3)");
  EXPECT_EQ(FailedSetup(f).message(),
            "CNI plugin second: ADD for network two exited with status 3 without a CNI error, it printed nothing");
}

TEST(CniNetwork, HangIsKilled) {
  Fixture f(R"([ "$CNI_COMMAND" = DEL ] && exit 0; sleep 1000)");
  const int64_t before = MonotonicNow();
  const sdk::Status status = FailedSetup(f);
  EXPECT_EQ(status.code(), sdk::Code::kDeadlineExceeded);
  EXPECT_THAT(status.message(), HasSubstr("CNI plugin second: ADD for network two did not end within 1 s"));
  EXPECT_LT(MonotonicNow() - before, 5'000'000'000);
}

TEST(CniNetwork, HugeOutputIsRefused) {
  Fixture f(R"([ "$CNI_COMMAND" = ADD ] && head -c 3000000 /dev/zero; exit 0)");
  EXPECT_THAT(FailedSetup(f).message(), HasSubstr("printed more than 1048576 bytes"));
}

TEST(CniNetwork, AFailedUndoIsKeptForLater) {
  Fixture f(R"(echo '{"code":5,"msg":"broken"}'; exit 1)");
  EXPECT_FALSE(f.network.Setup({}, Pod()).ok());
  EXPECT_THAT(f.fake.TakeLog(), ElementsAre("ADD first eth0 /proc/self/ns/net", "ADD second eth0 /proc/self/ns/net",
                                            "DEL second eth0 /proc/self/ns/net", "DEL first eth0 /proc/self/ns/net"));
  EXPECT_EQ(f.fake.warnings.size(), 1u);
  f.fake.AddPlugin("second", kEcho);
  ASSERT_TRUE(f.network.Gc({}, {}).ok());
  EXPECT_THAT(f.fake.TakeLog(), ElementsAre("DEL second eth0 ", "DEL first eth0 "));
  EXPECT_EQ(f.fake.Read("cache/deep/pod1.json"), "");
}

TEST(CniNetwork, ACancelledSetupIsUndone) {
  Fixture f(R"([ "$CNI_COMMAND" = DEL ] && exit 0; sleep 1000)");
  ASSERT_TRUE(f.network.Readiness({}).ok());  // its versions are known: the first ADD is next
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  ASSERT_EQ(write(pipe_fds[1], "x", 1), 1);
  sdk::Call call;
  call.cancel_fd = pipe_fds[0];
  EXPECT_EQ(f.network.Setup(call, Pod()).status().code(), sdk::Code::kCancelled);
  EXPECT_THAT(f.fake.TakeLog(), ElementsAre("DEL second eth0 /proc/self/ns/net", "DEL first eth0 /proc/self/ns/net"));
  close(pipe_fds[0]);
  close(pipe_fds[1]);
}

TEST(CniNetwork, AFailedDelIsReportedAndKeepsNoOtherFromItsDel) {
  Fixture f(R"([ "$CNI_COMMAND" = DEL ] && { echo '{"code":7,"msg":"iptables is stuck"}'; exit 1; }
    echo '{"ips":[{"address":"10.1.0.2/24"}]}')");
  const auto result = f.network.Setup({}, Pod());
  ASSERT_TRUE(result.ok()) << result.status().message();
  f.fake.TakeLog();
  const sdk::Status status = f.network.Teardown({}, Gone(result->state));
  EXPECT_THAT(status.message(), HasSubstr("CNI plugin second: DEL for network two failed: iptables is stuck"));
  EXPECT_THAT(f.fake.TakeLog(), ElementsAre("DEL second eth0 ", "DEL first eth0 "));
  EXPECT_NE(f.fake.Read("cache/deep/pod1.json"), "") << "to be tried again";
}

TEST(CniNetwork, GarbageAtDelDoesNotMatter) {
  Fixture f(R"([ "$CNI_COMMAND" = DEL ] && { echo garbage; exit 0; }; echo '{"ips":[{"address":"10.1.0.2/24"}]}')");
  ASSERT_TRUE(f.network.Setup({}, Pod()).ok());
  EXPECT_TRUE(f.network.Teardown({}, Gone()).ok());
}

// ---- what plugins say they did, and what they did

TEST(CniNetwork, AnAddWithoutEffectIsAnError) {
  Fixture f(kEcho);
  CniNetwork::Options options = f.fake.Options();
  NetnsView there{{"lo"}, {"127.0.0.1"}};
  options.look = [&](const std::string& netns) -> sdk::Result<NetnsView> {
    EXPECT_EQ(netns, kNetns);
    return there;
  };
  CniNetwork network(std::move(options));
  EXPECT_EQ(network.Setup({}, Pod()).status().message(),
            "ADD for network two ended well, but there is no interface eth0 in the network namespace of pod pod1");
  EXPECT_THAT(f.fake.TakeLog(), ElementsAre("ADD first eth0 /proc/self/ns/net", "ADD second eth0 /proc/self/ns/net",
                                            "DEL second eth0 /proc/self/ns/net", "DEL first eth0 /proc/self/ns/net"));
  there = {{"eth0", "lo"}, {"10.1.0.2"}};
  EXPECT_TRUE(network.Setup({}, Pod()).ok());
  EXPECT_THAT(f.fake.warnings, ElementsAre(HasSubstr("answered with address fd00::2, which no interface")));
}

TEST(CniNetwork, ResultsOfOtherVersionsAreConverted) {
  Fixture f(kEcho);
  f.fake.WriteConfig("10-two.conflist",
                     R"({"cniVersion":"0.4.0","name":"two","plugins":[{"type":"first"},{"type":"second"}]})");
  f.fake.AddPlugin("first", R"(echo '{"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.2/24"}}')");
  const auto result = f.network.Setup({}, Pod());
  ASSERT_TRUE(result.ok()) << result.status().message();
  const auto second = json::Parse(f.fake.Read("second.ADD.in"), "in", 1 << 20);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ((*second)["prevResult"], json::Value::parse(R"({"cniVersion":"0.4.0","routes":[],
      "ips":[{"version":"4","address":"10.1.0.2/24"}]})"));
  ASSERT_TRUE(f.network.Teardown({}, Gone(result->state)).ok());
  const auto del = json::Parse(f.fake.Read("first.DEL.in"), "in", 1 << 20);
  ASSERT_TRUE(del.ok());
  EXPECT_EQ((*del)["prevResult"]["cniVersion"], "0.4.0");
  EXPECT_EQ((*del)["prevResult"]["ips"][1]["version"], "6");
}

TEST(CniNetwork, AResultOfAnUnknownVersionIsAnError) {
  Fixture f(R"([ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion":"7.0.0","ips":[{"address":"10.1.0.2/24"}]}'; exit 0)");
  EXPECT_THAT(FailedSetup(f).message(), HasSubstr("answered with a result of version \"7.0.0\", which is not known"));
}

// ---- VERSION

constexpr char kOldAndNew[] =
    R"({"cniVersion":"0.4.0","cniVersions":["1.0.0","1.1.0"],"name":"two","plugins":[{"type":"first"},{"type":"second"}]})";

TEST(CniNetwork, TheHighestVersionThatEveryPluginSpeaks) {
  Fixture f(kEcho);
  f.fake.WriteConfig("10-two.conflist", kOldAndNew);
  f.fake.SetVersions("first", R"({"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0","1.1.0"]})");
  f.fake.SetVersions("second", R"({"cniVersion":"1.0.0","supportedVersions":["0.3.1","0.4.0","1.0.0"]})");
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(f.network.Setup({}, Pod()).ok());
    EXPECT_THAT(f.fake.Read("first.ADD.in"),
                AllOf(HasSubstr(R"("cniVersion":"1.0.0")"), Not(HasSubstr("cniVersions"))));
  }
  EXPECT_EQ(f.fake.Read("first.VERSIONS"), "x\n") << "a program is asked once";
  f.fake.AddGoodPlugin("first", "10.1.0.2/24");  // another file
  ASSERT_TRUE(f.network.Setup({}, Pod()).ok());
  EXPECT_EQ(f.fake.Read("first.VERSIONS"), "x\nx\n");
}

TEST(CniNetwork, APluginThatSpeaksNoneIsNamed) {
  Fixture f(kEcho);
  f.fake.WriteConfig("10-two.conflist", kOldAndNew);
  f.fake.SetVersions("second", R"({"cniVersion":"0.2.0","supportedVersions":["0.1.0","0.2.0"]})");
  const auto status = f.network.Readiness({});
  ASSERT_TRUE(status.ok());
  EXPECT_FALSE(status->ready);
  EXPECT_THAT(status->message, HasSubstr("CNI plugin second speaks none of the versions that network two may use "
                                         "(0.4.0 1.0.0 1.1.0), only 0.1.0 0.2.0"));
  EXPECT_EQ(f.network.Setup({}, Pod()).status().code(), sdk::Code::kFailedPrecondition);
  EXPECT_THAT(f.fake.TakeLog(), IsEmpty());
}

TEST(CniNetwork, APluginThatAnswersNoVersionIsBelieved) {
  for (const char* answer :
       {"garbage", "{}", R"({"supportedVersions":"1.0.0"})", R"({"supportedVersions":[1,null]})"}) {
    Fixture f(kEcho);
    f.fake.SetVersions("second", answer);
    EXPECT_TRUE(f.network.Setup({}, Pod()).ok()) << answer;
  }
}

TEST(CniNetwork, AMissingPluginIsNotReadyAndNothingIsBegun) {
  Fixture f(kEcho);
  unlink((f.fake.dir() + "/bin/second").c_str());
  const auto result = f.network.Setup({}, Pod());
  EXPECT_EQ(result.status().code(), sdk::Code::kUnavailable);
  EXPECT_THAT(result.status().message(), HasSubstr("CNI plugin second is not installed, looked in"));
  EXPECT_THAT(f.fake.TakeLog(), IsEmpty());
}

// ---- requests that are refused

TEST(CniNetwork, RefusesNamesThatWouldBecomeOtherArguments) {
  Fixture f(kEcho);
  sdk::PodNetwork pod = Pod();
  pod.name = "a;K8S_POD_NAMESPACE=kube-system";
  EXPECT_EQ(f.network.Setup({}, pod).status().code(), sdk::Code::kInvalidArgument);
  pod = Pod();
  pod.pod_id = "../../etc/passwd";
  EXPECT_EQ(f.network.Setup({}, pod).status().code(), sdk::Code::kInvalidArgument);
  EXPECT_EQ(f.network.Teardown({}, pod).code(), sdk::Code::kInvalidArgument);
  pod = Pod();
  pod.annotations["kubernetes.io/ingress-bandwidth"] = "lots";
  EXPECT_EQ(f.network.Setup({}, pod).status().code(), sdk::Code::kInvalidArgument);
  EXPECT_THAT(f.fake.TakeLog(), IsEmpty());
}

TEST(CniNetwork, SetupWithoutConfigurationSaysWhatToDo) {
  FakePlugins fake;
  CniNetwork network(fake.Options());
  const auto result = network.Setup({}, Pod());
  EXPECT_EQ(result.status().code(), sdk::Code::kUnavailable);
  EXPECT_THAT(result.status().message(), HasSubstr("no valid network configuration in " + fake.dir() + "/conf"));
}

// ---- Readiness

TEST(CniNetwork, ReadinessNamesWhatIsWrong) {
  FakePlugins fake;
  CniNetwork network(fake.Options());
  auto status = network.Readiness({});
  ASSERT_TRUE(status.ok());
  EXPECT_FALSE(status->ready);
  EXPECT_EQ(status->reason, "NetworkPluginNotReady");
  EXPECT_THAT(status->message, HasSubstr("cni config uninitialized"));

  fake.WriteConfig("05-broken.conf", "{");
  status = network.Readiness({});
  EXPECT_THAT(status->message, HasSubstr("05-broken.conf: not JSON at byte"));

  fake.WriteConfig("10-net.conf", R"({"cniVersion":"0.3.1","name":"n","type":"absent"})");
  status = network.Readiness({});
  EXPECT_FALSE(status->ready);
  EXPECT_THAT(status->message, HasSubstr("10-net.conf: CNI plugin absent is not installed"));

  fake.AddGoodPlugin("absent", "10.0.0.1/8");
  status = network.Readiness({});
  EXPECT_TRUE(status->ready) << status->message;
  EXPECT_THAT(status->message, HasSubstr("not valid: "));
}

TEST(CniNetwork, ReadinessAsksPluginsOfVersion11) {
  FakePlugins fake;
  fake.WriteConfig("10.conflist", R"({"cniVersion":"1.1.0","name":"n","plugins":[{"type":"p"}]})");
  fake.AddPlugin("p", R"(echo '{"code":50,"msg":"no route to the controller"}'; exit 1)");
  CniNetwork network(fake.Options());
  const auto status = network.Readiness({});
  ASSERT_TRUE(status.ok());
  EXPECT_FALSE(status->ready);
  EXPECT_THAT(status->message, HasSubstr("no route to the controller"));
  ASSERT_TRUE(network.Readiness({}).ok());
  EXPECT_THAT(fake.TakeLog(), ElementsAre("STATUS p  ")) << "the answer is kept for some seconds";
}

// ---- Check and Gc

TEST(CniNetwork, ChecksWithTheResultOfAdd) {
  Fixture f(R"([ "$CNI_COMMAND" = CHECK ] && { echo '{"code":100,"msg":"route is gone"}'; exit 1; }
    echo '{"ips":[{"address":"10.1.0.2/24"}]}')");
  sdk::PodNetwork pod = Pod();
  const auto result = f.network.Setup({}, pod);
  ASSERT_TRUE(result.ok());
  f.fake.TakeLog();
  pod.state = result->state;
  EXPECT_THAT(f.network.CheckPod({}, pod).message(), HasSubstr("route is gone"));
  EXPECT_THAT(f.fake.TakeLog(),
              ElementsAre("CHECK first eth0 /proc/self/ns/net", "CHECK second eth0 /proc/self/ns/net"));
}

TEST(CniNetwork, BeforeVersion04ThereIsNoCheck) {
  FakePlugins fake;
  fake.WriteConfig("10.conf", R"({"cniVersion":"0.3.1","name":"n","type":"p"})");
  fake.AddGoodPlugin("p", "10.0.0.2/24");
  CniNetwork network(fake.Options());
  sdk::PodNetwork pod = Pod();
  const auto result = network.Setup({}, pod);
  ASSERT_TRUE(result.ok());
  pod.state = result->state;
  EXPECT_TRUE(network.CheckPod({}, pod).ok());
  ASSERT_TRUE(network.Teardown({}, pod).ok());
  EXPECT_THAT(fake.TakeLog(), ElementsAre("ADD p eth0 /proc/self/ns/net", "DEL p eth0 /proc/self/ns/net"));
  EXPECT_THAT(fake.Read("p.DEL.in"), Not(HasSubstr("prevResult")));
}

TEST(CniNetwork, GcReleasesWhatAnEarlierDaemonLeft) {
  Fixture f(kEcho);
  {
    CniNetwork earlier(f.fake.Options());
    ASSERT_TRUE(earlier.Setup({}, TestPod("old1", kNetns)).ok());
    ASSERT_TRUE(earlier.Setup({}, TestPod("old2", kNetns)).ok());
  }
  ASSERT_TRUE(f.network.Setup({}, TestPod("mine", kNetns)).ok());
  f.fake.TakeLog();
  ASSERT_TRUE(f.network.Gc({}, {"old2"}).ok());
  EXPECT_THAT(f.fake.TakeLog(), ElementsAre("DEL second eth0 ", "DEL first eth0 "));
  EXPECT_EQ(f.fake.Read("cache/deep/old1.json"), "");
  EXPECT_NE(f.fake.Read("cache/deep/old2.json"), "");
  EXPECT_NE(f.fake.Read("cache/deep/mine.json"), "");
}

TEST(CniNetwork, GcOfVersion11) {
  FakePlugins fake;
  fake.WriteConfig("10.conflist", R"({"cniVersion":"1.1.0","name":"n","plugins":[{"type":"p"}]})");
  fake.AddGoodPlugin("p", "10.0.0.2/24");
  CniNetwork network(fake.Options());
  ASSERT_TRUE(network.Gc({}, {"a"}).ok());
  EXPECT_THAT(fake.TakeLog(), ElementsAre("GC p  "));
  const auto in = json::Parse(fake.Read("p.GC.in"), "in", 1 << 20);
  ASSERT_TRUE(in.ok());
  EXPECT_EQ((*in)["cni.dev/valid-attachments"], json::Value::parse(R"([{"containerID":"a","ifname":"eth0"}])"));
}

TEST(CniNetwork, GcNamesTheAttachmentsOfItsOwnNetwork) {
  FakePlugins fake;
  const auto list = [](const char* name) {
    return std::string(R"({"cniVersion":"1.1.0","name":")") + name + R"(","plugins":[{"type":"p"}]})";
  };
  fake.AddGoodPlugin("p", "10.0.0.2/24");
  fake.WriteConfig("10.conflist", list("old"));
  CniNetwork network(fake.Options());
  ASSERT_TRUE(network.Setup({}, TestPod("before", kNetns)).ok());
  fake.WriteConfig("10.conflist", list("new"));
  ASSERT_TRUE(network.Setup({}, TestPod("after", kNetns)).ok());
  fake.TakeLog();
  ASSERT_TRUE(network.Gc({}, {"before", "after", "unknown"}).ok());
  EXPECT_THAT(fake.TakeLog(), ElementsAre("GC p  "));
  const auto in = json::Parse(fake.Read("p.GC.in"), "in", 1 << 20);
  ASSERT_TRUE(in.ok());
  EXPECT_EQ((*in)["cni.dev/valid-attachments"], json::Value::parse(R"([{"containerID":"after","ifname":"eth0"},
      {"containerID":"unknown","ifname":"eth0"}])"));
}

TEST(CniNetwork, GcWaitsForOperationsAndOperationsForGc) {
  FakePlugins fake;
  fake.WriteConfig("10.conflist", R"({"cniVersion":"1.1.0","name":"n","plugins":[{"type":"p"}]})");
  // Each run of ADD or GC must find nobody else inside.
  fake.AddPlugin("p", "[ $CNI_COMMAND = DEL ] && exit 0\nmkdir " + fake.dir() +
                          "/inside || { echo '{\"code\":7,\"msg\":\"not alone\"}'; exit 1; }\nsleep 0.2\nrmdir " +
                          fake.dir() +
                          "/inside\n[ $CNI_COMMAND = GC ] || echo '{\"ips\":[{\"address\":\"10.0.0.2/8\"}]}'");
  CniNetwork network(fake.Options());
  for (int i = 0; i < 2; ++i) {
    sdk::Status collected;
    std::thread gc([&] { collected = network.Gc({}, {"pod1"}); });
    const auto result = network.Setup({}, Pod());
    gc.join();
    EXPECT_TRUE(result.ok()) << result.status().message();
    EXPECT_TRUE(collected.ok()) << collected.message();
  }
}

TEST(GcGate, GivesUpAtTheDeadline) {
  GcGate gate;
  sdk::Call late;
  late.deadline_ns = 1;
  {
    const auto operation = gate.Operation({});
    ASSERT_TRUE(operation.ok());
    EXPECT_TRUE(gate.Operation(late).ok()) << "operations do not wait for each other";
    EXPECT_EQ(gate.Collection(late).status().code(), sdk::Code::kDeadlineExceeded);
  }
  const auto collection = gate.Collection(late);
  ASSERT_TRUE(collection.ok());
  EXPECT_EQ(gate.Operation(late).status().code(), sdk::Code::kDeadlineExceeded);
}

TEST(CniNetwork, SeveralNetworks) {
  FakePlugins fake;
  fake.WriteConfig("10.conflist", R"({"cniVersion":"1.0.0","name":"n0","plugins":[{"type":"p"}]})");
  fake.WriteConfig("20.conf", R"({"cniVersion":"1.0.0","name":"n1","type":"q"})");
  fake.AddGoodPlugin("p", "10.0.0.2/24");
  fake.AddGoodPlugin("q", "fd00::2/64");
  CniNetwork::Options options = fake.Options();
  options.max_conf_num = 2;
  CniNetwork network(std::move(options));
  const auto result = network.Setup({}, Pod());
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_THAT(result->ips, ElementsAre("10.0.0.2", "fd00::2"));
  ASSERT_TRUE(network.Teardown({}, Gone(result->state)).ok());
  EXPECT_THAT(fake.TakeLog(), ElementsAre("ADD p eth0 /proc/self/ns/net", "ADD q eth1 /proc/self/ns/net", "DEL q eth1 ",
                                          "DEL p eth0 "));
}

}  // namespace
}  // namespace berth::network_cni
