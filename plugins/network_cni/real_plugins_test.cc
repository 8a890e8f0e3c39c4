// The reference plugins of the distribution (bridge, host-local, tuning) on the real kernel. The
// whole program lives in network and mount namespaces of its own: nothing of it is left on the machine.
#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "core/base/subprocess.h"
#include "plugins/network_cni/cni_network.h"
#include "plugins/network_cni/fake_plugins.h"

namespace berth::network_cni {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kPlugins[] = "/usr/lib/cni";

// A network namespace held by a file, as the daemon holds a pod's.
class PodNamespace {
 public:
  explicit PodNamespace(std::string path) : path_(std::move(path)) {
    const int file = open(path_.c_str(), O_CREAT | O_RDONLY | O_CLOEXEC, 0600);
    if (file >= 0) close(file);
    const pid_t child = fork();
    if (child == 0) {
      const bool done = unshare(CLONE_NEWNET) == 0 && mount("/proc/self/ns/net", path_.c_str(), "", MS_BIND, "") == 0;
      _exit(done ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  ~PodNamespace() { Drop(); }
  void Drop() {
    umount2(path_.c_str(), MNT_DETACH);
    unlink(path_.c_str());
  }
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

std::string Output(const std::vector<std::string>& argv) {
  Command command;
  command.argv = argv;
  command.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  const auto result = RunCommand(command);
  return result.ok() ? result->out + result->err : std::string(result.status().message());
}

class RealPlugins : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* plugin : {"bridge", "host-local"}) {
      if (access((std::string(kPlugins) + "/" + plugin).c_str(), X_OK) != 0) {
        GTEST_SKIP() << "containernetworking-plugins is not installed";
      }
    }
    fake_.WriteConfig("10-test.conflist", R"({"cniVersion":"1.0.0","name":"test","plugins":[{"type":"bridge",
      "bridge":"berthtest0","isGateway":true,"ipMasq":false,"ipam":{"type":"host-local","dataDir":")" +
                                              fake_.dir() + R"(/leases",
      "ranges":[[{"subnet":"10.77.0.0/24"}],[{"subnet":"fd77::/64"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]})");
    CniNetwork::Options options = fake_.Options();
    options.bin_dirs = {"/nonexistent", kPlugins};
    options.timeout_ns = 30'000'000'000;
    network_ = std::make_unique<CniNetwork>(std::move(options));
  }

  // Addresses that host-local has given out.
  std::vector<std::string> Leases() const {
    std::vector<std::string> out;
    const std::string dir = fake_.dir() + "/leases/test";
    if (!std::filesystem::exists(dir)) return out;
    for (const auto& entry : std::filesystem::directory_iterator(dir)) {
      const std::string name = entry.path().filename();
      if (name.find("10.77.") == 0 || name.find("fd77") == 0) out.push_back(name);
    }
    return out;
  }

  FakePlugins fake_;
  std::unique_ptr<CniNetwork> network_;
};

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
  CniNetwork::Options options = fake_.Options();
  options.bin_dirs = {kPlugins};
  options.timeout_ns = 30'000'000'000;
  CniNetwork next(std::move(options));
  ASSERT_TRUE(next.Gc({}, {}).ok());
  EXPECT_TRUE(Leases().empty());
}

}  // namespace
}  // namespace berth::network_cni

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 || mount("", "/", "", MS_REC | MS_PRIVATE, "") != 0) {
    perror("own network and mount namespaces");
    return 1;
  }
  return RUN_ALL_TESTS();
}
