#include "core/pod/pod_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_join.h"

namespace berth {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Writes down what it is asked, and fails where told.
class FakeHook : public NetworkHook {
 public:
  FakeHook(std::string name, std::vector<std::string>* log) : name_(std::move(name)), log_(log) {}
  absl::StatusOr<NetworkResult> Setup(const Call&, const PodNetwork&) override {
    log_->push_back("setup " + name_);
    if (!setup.ok()) return setup;
    return NetworkResult{{"10.0.0." + name_}, "state-" + name_};
  }
  absl::Status Teardown(const Call&, const PodNetwork& pod) override {
    log_->push_back("teardown " + name_ + " " + pod.state);
    return teardown;
  }
  absl::Status Check(const Call&, const PodNetwork&) override { return absl::OkStatus(); }
  absl::StatusOr<NetworkStatus> Status(const Call&) override { return status; }
  absl::Status Gc(const Call&, const std::vector<std::string>& valid) override {
    log_->push_back("gc " + name_ + " " + absl::StrJoin(valid, ","));
    return gc;
  }

  absl::Status setup, teardown, gc;
  NetworkStatus status{true, "", ""};

 private:
  const std::string name_;
  std::vector<std::string>* const log_;
};

using Attachments = std::vector<state::v1::NetworkAttachment>;

class PodNetworksTest : public ::testing::Test {
 protected:
  std::vector<std::string> log_;
  FakeHook one_{"1", &log_}, two_{"2", &log_};
  PodNetworks networks_{{{"one", &one_}, {"two", &two_}}, 60};
};

TEST_F(PodNetworksTest, SetsUpInOrderAndTearsDownInReverse) {
  Attachments attachments;
  ASSERT_EQ(networks_.Setup(PodNetwork(), &attachments), absl::OkStatus());
  ASSERT_EQ(attachments.size(), 2u);
  EXPECT_EQ(attachments[0].ips(0), "10.0.0.1");
  EXPECT_TRUE(networks_.Teardown(PodNetwork(), attachments).ok());
  EXPECT_THAT(log_, ElementsAre("setup 1", "setup 2", "teardown 2 state-2", "teardown 1 state-1"));
}

TEST(IsNetworkNamespace, AFileThatNothingIsMountedOnIsNone) {
  EXPECT_TRUE(IsNetworkNamespace("/proc/self/ns/net"));
  EXPECT_FALSE(IsNetworkNamespace("/proc/self/status"));
  EXPECT_FALSE(IsNetworkNamespace("/nowhere"));
  EXPECT_FALSE(IsNetworkNamespace(""));
}

TEST_F(PodNetworksTest, AFailedSetupSaysWhatThereIsToUndo) {
  two_.setup = absl::InternalError("no bridge");
  Attachments attachments;
  EXPECT_THAT(networks_.Setup(PodNetwork(), &attachments).message(),
              HasSubstr("set up the pod's network with two: no bridge"));
  EXPECT_TRUE(networks_.Teardown(PodNetwork(), attachments).ok());
  EXPECT_THAT(log_, ElementsAre("setup 1", "setup 2", "teardown 2 ", "teardown 1 state-1"));
}

TEST_F(PodNetworksTest, APodOfWhichNothingIsKnownIsTornDownByEveryHook) {
  EXPECT_TRUE(networks_.Teardown(PodNetwork(), networks_.Possible()).ok());
  EXPECT_THAT(log_, ElementsAre("teardown 2 ", "teardown 1 "));
}

TEST_F(PodNetworksTest, AFailedTeardownDoesNotKeepTheOthersFromTheirs) {
  Attachments attachments;
  ASSERT_EQ(networks_.Setup(PodNetwork(), &attachments), absl::OkStatus());
  two_.teardown = absl::InternalError("DEL failed");
  log_.clear();
  EXPECT_THAT(networks_.Teardown(PodNetwork(), attachments).message(), HasSubstr("with two: DEL failed"));
  EXPECT_THAT(log_, ElementsAre("teardown 2 state-2", "teardown 1 state-1"));
}

TEST_F(PodNetworksTest, EveryHookLearnsWhichPodsThereAre) {
  one_.gc = absl::UnavailableError("busy");
  EXPECT_THAT(networks_.Gc({"a", "b"}).message(), HasSubstr("one has of pods that are gone: busy"));
  EXPECT_THAT(log_, ElementsAre("gc 1 a,b", "gc 2 a,b"));
}

TEST_F(PodNetworksTest, AHookThatIsGoneIsAnErrorThatSaysWhatToDo) {
  state::v1::NetworkAttachment attachment;
  attachment.set_hook("removed");
  EXPECT_THAT(networks_.Teardown(PodNetwork(), {attachment}).message(), HasSubstr("add it again"));
}

TEST_F(PodNetworksTest, IsReadyWhenEveryHookIs) {
  EXPECT_TRUE(networks_.Status().ready);
  one_.status.message = "one file is not valid";
  EXPECT_TRUE(networks_.Status().ready);
  EXPECT_EQ(networks_.Status().message, "one file is not valid");
  two_.status = {false, "NetworkPluginNotReady", "no config"};
  EXPECT_EQ(networks_.Status().message, "no config");
}

TEST(DescribeNetworkTest, LeavesOutPortsWithoutAHostPort) {
  runtime::v1::PodSandboxConfig config;
  config.add_port_mappings()->set_container_port(80);
  auto* mapping = config.add_port_mappings();
  mapping->set_container_port(53);
  mapping->set_host_port(5353);
  mapping->set_protocol(runtime::v1::Protocol::UDP);
  const PodNetwork pod = DescribeNetwork({}, config);
  ASSERT_EQ(pod.port_mappings.size(), 1u);
  EXPECT_EQ(pod.port_mappings[0].protocol, "udp");
  EXPECT_EQ(pod.port_mappings[0].host_port, 5353);
}

}  // namespace
}  // namespace berth
