// Networks of pods over the whole daemon: what is released, when, and what the node says about it.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/file.h"
#include "core/base/unique_fd.h"
#include "tools/integration/cgroup_dirs.h"
#include "tools/integration/daemon_test.h"
#include "tools/integration/isolation.h"

namespace berth {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class NetworkTest : public DaemonTest {
 protected:
  NetworkTest() {
    options_.moody_network = true;
    options_.network_timeout_seconds = 5;
  }

  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(MakePlace());
    ASSERT_OK(place_->SetMood(""));
    ASSERT_OK(StartDaemon());
    ASSERT_NO_FATAL_FAILURE(PullTestImage());
    NoteWhatExists();
  }

  std::string ConfigFile(const std::string& name) const { return place_->directory() + "/cni/conf/" + name; }
  void WriteNetworkFile(const std::string& name, const std::string& text) {
    ASSERT_OK(WriteFileAtomic(ConfigFile(name), text, 0644, Durability::kVolatile));
  }

  // Addresses that are given out, and what the moody plugin holds.
  std::vector<std::string> Held() const {
    std::vector<std::string> found = ListDir(place_->held()).value_or(std::vector<std::string>());
    std::error_code error;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(place_->leases(), error)) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789abcdef.:_") == name.npos) found.push_back(name);
    }
    return found;
  }
  // The daemon releases them by itself; nobody asks it to.
  void ExpectAllReleased() {
    const absl::Time end = absl::Now() + absl::Seconds(100);
    while (!Held().empty() && absl::Now() < end) absl::SleepFor(absl::Milliseconds(50));
    EXPECT_THAT(Held(), IsEmpty());
  }

  cri::RuntimeCondition NetworkReady() {
    const auto status = client().Status(cri::StatusRequest());
    EXPECT_OK(status);
    for (const auto& condition : status->status().conditions()) {
      if (condition.type() == "NetworkReady") return condition;
    }
    ADD_FAILURE() << "no NetworkReady in " << status->DebugString();
    return {};
  }
};

TEST_F(NetworkTest, WhatAFailedRunLeftIsReleasedByItself) {
  ASSERT_OK(place_->SetMood("fail-both"));
  EXPECT_FALSE(RunPod(PodConfig("bad")).ok());
  EXPECT_THAT(Held(), Not(IsEmpty())) << "DEL failed too";
  ASSERT_OK(place_->SetMood(""));
  ExpectAllReleased();
}

TEST_F(NetworkTest, WhatAFailedRunLeftIsReleasedByTheNextDaemon) {
  ASSERT_OK(place_->SetMood("fail-both"));
  EXPECT_FALSE(RunPod(PodConfig("bad")).ok());
  ASSERT_OK(RestartDaemon());
  EXPECT_THAT(Held(), Not(IsEmpty()));
  ASSERT_OK(place_->SetMood(""));
  ExpectAllReleased();
}

TEST_F(NetworkTest, TheNameOfAHalfMadePodIsFree) {
  ASSERT_OK(place_->SetMood("fail-both"));
  EXPECT_FALSE(RunPod(PodConfig("one")).ok());
  ASSERT_OK(place_->SetMood("fail-del"));
  RunOne("sleep 1000");  // of the same name, while the other is still to be undone
  ASSERT_OK(RestartDaemon());
  EXPECT_EQ(PodStatus(pod_)->state(), cri::SANDBOX_READY);
  EXPECT_EQ(client().ListPodSandbox(cri::ListPodSandboxRequest())->items_size(), 1);
  ASSERT_OK(place_->SetMood(""));
  EXPECT_OK(RemovePod(pod_));
  ExpectAllReleased();
}

TEST_F(NetworkTest, AStopThatFailedIsFinishedByItself) {
  RunOne("sleep 1000");
  ASSERT_OK(place_->SetMood("fail-del"));
  EXPECT_FALSE(StopPod(pod_).ok());
  EXPECT_EQ(PodStatus(pod_)->state(), cri::SANDBOX_NOTREADY);
  EXPECT_FALSE(RemovePod(pod_).ok()) << "an address would be lost";
  EXPECT_THAT(Held(), Not(IsEmpty()));
  ASSERT_OK(place_->SetMood(""));
  ExpectAllReleased();
  EXPECT_OK(StopPod(pod_));
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(NetworkTest, AStopThatFailedIsFinishedByTheNextDaemon) {
  RunOne("sleep 1000");
  ASSERT_OK(place_->SetMood("fail-del"));
  EXPECT_FALSE(StopPod(pod_).ok());
  ASSERT_OK(RestartDaemon());
  EXPECT_EQ(PodStatus(pod_)->state(), cri::SANDBOX_NOTREADY);
  ASSERT_OK(place_->SetMood(""));
  ExpectAllReleased();
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(NetworkTest, AHangingDelDoesNotKeepTheDaemonFromStarting) {
  RunOne("sleep 1000");
  ASSERT_OK(place_->SetMood("hang-del"));
  EXPECT_FALSE(StopPod(pod_).ok());
  KillDaemon();
  const absl::Time start = absl::Now();
  ASSERT_OK(StartDaemon());
  EXPECT_OK(PodStatus(pod_));
  EXPECT_LT(absl::Now() - start, absl::Seconds(options_.network_timeout_seconds)) << "it waited for the plugin";
  ASSERT_OK(place_->SetMood(""));
  ExpectAllReleased();
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(NetworkTest, DelUsesWhatAddUsed) {
  RunOne("sleep 1000");
  std::filesystem::remove(ConfigFile("10-berthtest.conflist"));
  ASSERT_OK(RestartDaemon());
  EXPECT_OK(RemovePod(pod_));
  EXPECT_THAT(Held(), IsEmpty());
}

TEST_F(NetworkTest, AfterARebootNetworksAreTornDownWithoutTheirNamespaces) {
  RunOne("sleep 1000");
  KillDaemon();
  // Everything of this world but the test itself ends, and what a reboot takes is gone.
  const auto processes = ListDir("/proc"), pins = ListDir("/run/netns");
  ASSERT_OK(processes);
  ASSERT_OK(pins);
  for (const std::string& name : *processes) {
    int pid = 0;
    if (absl::SimpleAtoi(name, &pid) && pid != 1 && pid != getpid()) kill(pid, SIGKILL);
  }
  for (const std::string& pin : *pins) {
    umount2(("/run/netns/" + pin).c_str(), MNT_DETACH);
    std::filesystem::remove("/run/netns/" + pin);
  }
  umount2((place_->state() + "/pods/" + pod_ + "/shm").c_str(), MNT_DETACH);
  ASSERT_OK(RemoveTree(place_->state()));
  RemoveCgroups(TheWorld().tag);
  const std::string boot_id = place_->directory() + "/boot_id";
  ASSERT_OK(WriteFileAtomic(boot_id, "11111111-2222-3333-4444-555555555555\n", 0444, Durability::kVolatile));
  ASSERT_EQ(mount(boot_id.c_str(), "/proc/sys/kernel/random/boot_id", "", MS_BIND, ""), 0) << strerror(errno);
  EXPECT_EQ(Held().size(), 2u) << "they are on the disk";
  ASSERT_OK(StartDaemon());
  EXPECT_EQ(PodStatus(pod_)->state(), cri::SANDBOX_NOTREADY);
  EXPECT_EQ(Status(container_)->state(), cri::CONTAINER_EXITED);
  ExpectAllReleased();
  EXPECT_OK(StopPod(pod_));
  EXPECT_OK(RemovePod(pod_));
  EXPECT_EQ(umount2("/proc/sys/kernel/random/boot_id", MNT_DETACH), 0);
  std::filesystem::remove(boot_id);
}

TEST_F(NetworkTest, TheNodeSaysWhatIsWrongWithItsNetwork) {
  EXPECT_TRUE(NetworkReady().status()) << NetworkReady().message();
  // One file that is not valid breaks no other, and is named.
  WriteNetworkFile("05-broken.conflist", "{");
  EXPECT_TRUE(NetworkReady().status());
  EXPECT_THAT(NetworkReady().message(), HasSubstr("05-broken.conflist: not JSON"));

  const auto good = ReadFile(ConfigFile("10-berthtest.conflist"));
  ASSERT_OK(good);
  std::filesystem::remove(ConfigFile("10-berthtest.conflist"));
  const cri::RuntimeCondition condition = NetworkReady();
  EXPECT_FALSE(condition.status());
  EXPECT_EQ(condition.reason(), "NetworkPluginNotReady");
  EXPECT_THAT(condition.message(), HasSubstr(place_->directory() + "/cni/conf"));
  EXPECT_THAT(condition.message(), HasSubstr("05-broken.conflist: not JSON"));
  EXPECT_CODE(RunPod(PodConfig("early")), kUnavailable);

  WriteNetworkFile("20-typo.conflist", R"({"cniVersion":"1.0.0","name":"n","plugins":[{"type":"brigde"}]})");
  EXPECT_THAT(NetworkReady().message(), HasSubstr("20-typo.conflist: CNI plugin brigde is not installed"));
  // Nobody has to tell the daemon.
  WriteNetworkFile("10-berthtest.conflist", *good);
  EXPECT_TRUE(NetworkReady().status()) << NetworkReady().message();
  RunOne("true");
  EXPECT_OK(RemovePod(pod_));
  for (const char* name : {"05-broken.conflist", "20-typo.conflist"}) std::filesystem::remove(ConfigFile(name));
}

class HostPortTest : public NetworkTest {
 protected:
  HostPortTest() {
    options_.moody_network = false;
    options_.network_timeout_seconds = 60;  // portmap runs dozens of programs
  }

  static bool HasNat(const std::string& iptables) {
    const std::string nat = iptables + " -t nat ";
    return system((nat + "-N berth-probe >/dev/null 2>&1 && " + nat + "-X berth-probe >/dev/null 2>&1").c_str()) == 0;
  }

  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(MakePlace());
    // Debian's iptables speaks nf_tables; a kernel may have only the older tables. Both are programs of many names.
    if (!HasNat("iptables") && HasNat("iptables-legacy")) {
      ASSERT_EQ(mount("/usr/sbin/xtables-legacy-multi", "/usr/sbin/xtables-nft-multi", "", MS_BIND, ""), 0)
          << strerror(errno);
      older_tables_ = true;
    }
    if (!HasNat("iptables")) GTEST_SKIP() << "the kernel has no NAT";
    dual_stack_ = HasNat("ip6tables");
    ASSERT_OK(StartDaemon());
    ASSERT_NO_FATAL_FAILURE(PullTestImage());
    WriteNetworkFile("05-dual.conflist", absl::StrCat(R"({"cniVersion":"1.0.0","name":"dual","plugins":[
        {"type":"bridge","bridge":"berthtest0","isGateway":true,"ipMasq":true,"ipam":{"type":"host-local","dataDir":")",
                                                      place_->leases(), R"(","ranges":[[{"subnet":"10.222.0.0/16"}])",
                                                      dual_stack_ ? R"(,[{"subnet":"fd22::/64"}])" : "",
                                                      R"(],"routes":[{"dst":"0.0.0.0/0"}]}},
        {"type":"portmap","capabilities":{"portMappings":true}}]})"));
    NoteWhatExists();
  }
  void TearDown() override {
    NetworkTest::TearDown();
    if (older_tables_) {
      EXPECT_EQ(umount2("/usr/sbin/xtables-nft-multi", MNT_DETACH), 0);
    }
  }

  // What a server in a pod answers, through a port of the host.
  static std::string Ask(const std::string& ip, uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    inet_pton(AF_INET, ip.c_str(), &address.sin_addr);
    const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{5, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return strerror(errno);
    char text[64];
    const ssize_t n = read(fd.get(), text, sizeof(text));
    return n < 0 ? strerror(errno) : std::string(text, static_cast<size_t>(n));
  }

  bool older_tables_ = false;
  bool dual_stack_ = false;  // portmap needs NAT for each family that a pod has
};

TEST_F(HostPortTest, APodIsReachedThroughThePortOfItsHost) {
  cri::PodSandboxConfig config = PodConfig("server");
  cri::PortMapping* mapping = config.add_port_mappings();
  mapping->set_container_port(80);
  mapping->set_host_port(38080);
  config.add_port_mappings()->set_container_port(81);  // no port of the host
  const auto pod = RunPod(config);
  ASSERT_OK(pod);
  const auto status = PodStatus(*pod);
  ASSERT_OK(status);
  EXPECT_EQ(status->network().ip().rfind("10.222.", 0), 0u) << status->DebugString();
  if (dual_stack_) {
    ASSERT_EQ(status->network().additional_ips_size(), 1);
    EXPECT_EQ(status->network().additional_ips(0).ip().rfind("fd22::", 0), 0u) << status->DebugString();
  }

  const auto container = Create(*pod, config, ShellConfig("main", "while :; do echo served | nc -l -p 80; done"));
  ASSERT_OK(container);
  ASSERT_OK(StartContainer(*container));
  for (const char* host : {"10.222.0.1", "127.0.0.1"}) {
    const absl::Time end = absl::Now() + absl::Seconds(30);
    std::string answer;
    while ((answer = Ask(host, 38080)) != "served\n" && absl::Now() < end) absl::SleepFor(absl::Milliseconds(100));
    EXPECT_EQ(answer, "served\n") << host;
  }
  EXPECT_OK(RemovePod(*pod));
  EXPECT_EQ(Ask("10.222.0.1", 38080), "Connection refused");
  EXPECT_THAT(Held(), IsEmpty());
}

TEST_F(HostPortTest, PortsThatAreNoneAreRefused) {
  const auto refused = [&](int container_port, int host_port, const std::string& host_ip) {
    cri::PodSandboxConfig config = PodConfig("bad");
    cri::PortMapping* mapping = config.add_port_mappings();
    mapping->set_container_port(container_port);
    mapping->set_host_port(host_port);
    mapping->set_host_ip(host_ip);
    EXPECT_CODE(RunPod(config), kInvalidArgument);
  };
  refused(0, 8080, "");
  refused(70000, 8080, "");
  refused(80, -1, "");
  refused(80, 8080, "localhost");
}

}  // namespace
}  // namespace berth
