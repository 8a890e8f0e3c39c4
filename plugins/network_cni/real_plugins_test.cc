// The reference plugins of the distribution (bridge, host-local, tuning) on the real kernel.
#include "plugins/network_cni/real_plugins.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace berth::network_cni {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(RealPlugins, ConnectCheckDisconnect) {
  PodNamespace ns(fake_.dir() + "/ns1");
  sdk::PodNetwork pod = TestPod("0123456789abcdef", ns.path());
  const auto result = network_->Setup({}, pod);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_THAT(result->ips, ElementsAre("10.77.0.2", "fd77::2"));
  EXPECT_THAT(Output({"/usr/bin/nsenter", "--net=" + ns.path(), "/usr/sbin/ip", "addr", "show", "eth0"}),
              HasSubstr("10.77.0.2/24"));
  EXPECT_EQ(Leases().size(), 2u);

  pod.state = result->state;
  EXPECT_TRUE(network_->CheckPod({}, pod).ok()) << network_->CheckPod({}, pod).message();
  Output({"/usr/bin/nsenter", "--net=" + ns.path(), "/usr/sbin/ip", "addr", "flush", "dev", "eth0"});
  EXPECT_FALSE(network_->CheckPod({}, pod).ok());

  ASSERT_TRUE(network_->Teardown({}, pod).ok());
  EXPECT_TRUE(Leases().empty());
  EXPECT_THAT(Output({"/usr/bin/nsenter", "--net=" + ns.path(), "/usr/sbin/ip", "addr"}), Not(HasSubstr("eth0")));
  EXPECT_TRUE(network_->Teardown({}, pod).ok()) << "again";
}

TEST_F(RealPlugins, DisconnectAfterTheNamespaceIsGone) {
  PodNamespace ns(fake_.dir() + "/ns2");
  sdk::PodNetwork pod = TestPod("fedcba9876543210", ns.path());
  const auto result = network_->Setup({}, pod);
  ASSERT_TRUE(result.ok()) << result.status().message();
  ns.Drop();
  std::filesystem::remove(fake_.dir() + "/conf/10-test.conflist");
  pod.state = result->state;  // and the path still names what is no more
  ASSERT_TRUE(network_->Teardown({}, pod).ok()) << network_->Teardown({}, pod).message();
  EXPECT_TRUE(Leases().empty());
}

TEST_F(RealPlugins, AFailureLaterInTheListReleasesTheAddress) {
  fake_.WriteConfig("05-fails.conflist", R"({"cniVersion":"1.0.0","name":"test","plugins":[{"type":"bridge",
      "bridge":"berthtest0","ipam":{"type":"host-local","dataDir":")" +
                                             fake_.dir() + R"(/leases",
      "subnet":"10.77.0.0/24"}},{"type":"tuning","sysctl":{"net.ipv4.no_such_key":"1"}}]})");
  PodNamespace ns(fake_.dir() + "/ns3");
  const auto result = network_->Setup({}, TestPod("aaaabbbbccccdddd", ns.path()));
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.status().message(), HasSubstr("CNI plugin tuning: ADD for network test failed"));
  EXPECT_TRUE(Leases().empty());
}

TEST_F(RealPlugins, PodsOfALostDaemonAreReleased) {
  PodNamespace ns(fake_.dir() + "/ns4");
  ASSERT_TRUE(network_->Setup({}, TestPod("1111222233334444", ns.path())).ok());
  EXPECT_EQ(Leases().size(), 2u);
  ns.Drop();
  CniNetwork next(Options());
  ASSERT_TRUE(next.Gc({}, {}).ok());
  EXPECT_TRUE(Leases().empty());
}

}  // namespace
}  // namespace berth::network_cni
