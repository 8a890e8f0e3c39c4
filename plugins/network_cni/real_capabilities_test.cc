// What pods ask for, through the distribution's plugins to the kernel: host ports, bandwidth, addresses.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "berth/sdk/unique_fd.h"
#include "plugins/network_cni/real_plugins.h"

namespace berth::network_cni {
namespace {

using sdk::UniqueFd;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kHost4[] = "10.77.0.1", kHost6[] = "fd77::1";  // of the bridge

sockaddr_storage Address(const std::string& ip, uint16_t port, socklen_t* size) {
  sockaddr_storage out{};
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out);
  if (inet_pton(AF_INET, ip.c_str(), &v4->sin_addr) == 1) {
    out.ss_family = AF_INET;
    v4->sin_port = htons(port);
    *size = sizeof(*v4);
  } else {
    EXPECT_EQ(inet_pton(AF_INET6, ip.c_str(), &v6->sin6_addr), 1) << ip;
    out.ss_family = AF_INET6;
    v6->sin6_port = htons(port);
    *size = sizeof(*v6);
  }
  return out;
}

// A socket of the pod; it stays in its namespace wherever it is used.
UniqueFd Listen(const PodNamespace& pod, int type, const std::string& ip, uint16_t port) {
  UniqueFd fd;
  pod.Inside([&] {
    socklen_t size = 0;
    const sockaddr_storage address = Address(ip, port, &size);
    fd = UniqueFd(socket(address.ss_family, type | SOCK_CLOEXEC, 0));
    const int on = 1;
    if (address.ss_family == AF_INET6) setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    ASSERT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size), 0) << strerror(errno);
    if (type == SOCK_STREAM) {
      ASSERT_EQ(listen(fd.get(), 8), 0) << strerror(errno);
    }
  });
  return fd;
}

bool Readable(const UniqueFd& fd, int milliseconds) {
  pollfd p{fd.get(), POLLIN, 0};
  return poll(&p, 1, milliseconds) == 1;
}

// "" when the pod's `server` got the connection or the datagram that was sent to ip:port of the host.
std::string Reach(const UniqueFd& server, int type, const std::string& ip, uint16_t port, int patience_ms = 10000) {
  socklen_t size = 0;
  const sockaddr_storage address = Address(ip, port, &size);
  const UniqueFd client(socket(address.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (connect(client.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 && errno != EINPROGRESS) {
    return strerror(errno);
  }
  if (type == SOCK_DGRAM && send(client.get(), "hello", 5, 0) != 5) return strerror(errno);
  if (!Readable(server, patience_ms)) {
    int error = 0;
    socklen_t length = sizeof(error);
    getsockopt(client.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    return error != 0 ? strerror(error) : "nothing arrived";
  }
  char text[8] = "";
  if (type == SOCK_DGRAM) return recv(server.get(), text, sizeof(text), 0) == 5 ? "" : "not what was sent";
  return UniqueFd(accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC)) ? "" : strerror(errno);
}

class RealCapabilities : public RealPlugins {
 protected:
  void SetUp() override {
    RealPlugins::SetUp();
    if (access("/usr/lib/cni/portmap", X_OK) != 0 || access("/usr/sbin/iptables", X_OK) != 0) {
      GTEST_SKIP() << "portmap or iptables is not installed";
    }
    if (Output({"/usr/sbin/iptables", "-t", "nat", "-S"}).find("-P OUTPUT") == std::string::npos) {
      GTEST_SKIP() << "the kernel has no NAT table: " << Output({"/usr/sbin/iptables", "-t", "nat", "-S"});
    }
    fake_.WriteConfig("05-full.conflist", R"({"cniVersion":"1.0.0","name":"test","plugins":[)" +
                                              Bridge(R"("capabilities":{"ips":true},)") +
                                              R"(,{"type":"tuning","capabilities":{"mac":true}}
                             ,{"type":"portmap","capabilities":{"portMappings":true}}
                             ,{"type":"firewall","backend":"iptables"}
                             ,{"type":"bandwidth","capabilities":{"bandwidth":true}}]})");
  }
};

TEST_F(RealCapabilities, HostPortsReachThePod) {
  PodNamespace ns(fake_.dir() + "/ns1");
  sdk::PodNetwork pod = TestPod("0123456789abcdef", ns.path());
  pod.port_mappings = {{"tcp", 80, 8080, ""}, {"udp", 53, 5353, ""}, {"tcp", 81, 8081, kHost4}};
  const auto result = network_->Setup({}, pod);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_THAT(result->ips, ElementsAre("10.77.0.2", "fd77::2"));
  EXPECT_THAT(fake_.warnings, IsEmpty());

  const UniqueFd tcp = Listen(ns, SOCK_STREAM, "0.0.0.0", 80), udp = Listen(ns, SOCK_DGRAM, "0.0.0.0", 53);
  const UniqueFd tcp6 = Listen(ns, SOCK_STREAM, "::", 80), bound = Listen(ns, SOCK_STREAM, "0.0.0.0", 81);
  EXPECT_EQ(Reach(tcp, SOCK_STREAM, kHost4, 8080), "");
  EXPECT_EQ(Reach(tcp, SOCK_STREAM, "127.0.0.1", 8080), "");
  EXPECT_EQ(Reach(udp, SOCK_DGRAM, kHost4, 5353), "");
  std::string reached = "not tried";
  for (int i = 0; i < 100 && !reached.empty();
       ++i) {  // an IPv6 address is usable once nobody else was found to have it
    reached = Reach(tcp6, SOCK_STREAM, kHost6, 8080, 500);
    if (!reached.empty()) usleep(100'000);
  }
  EXPECT_EQ(reached, "");
  EXPECT_EQ(Reach(bound, SOCK_STREAM, kHost4, 8081), "");
  EXPECT_EQ(Reach(bound, SOCK_STREAM, "127.0.0.1", 8081, 1000), "Connection refused") << "bound to another address";

  pod.state = result->state;
  ASSERT_TRUE(network_->Teardown({}, pod).ok());
  EXPECT_EQ(Reach(tcp, SOCK_STREAM, kHost4, 8080, 1000), "Connection refused");
  EXPECT_THAT(Output({"/usr/sbin/iptables", "-t", "nat", "-S"}),
              AllOf(Not(HasSubstr("8080")), Not(HasSubstr("10.77"))));
  EXPECT_THAT(Output({"/usr/sbin/ip6tables", "-t", "nat", "-S"}), Not(HasSubstr("fd77")));
  EXPECT_THAT(Leases(), IsEmpty());
}

TEST_F(RealCapabilities, HostPortsGoWithoutTheNamespace) {
  PodNamespace ns(fake_.dir() + "/ns2");
  sdk::PodNetwork pod = TestPod("fedcba9876543210", ns.path());
  pod.port_mappings = {{"tcp", 80, 8080, ""}};
  const auto result = network_->Setup({}, pod);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_THAT(Output({"/usr/sbin/iptables", "-t", "nat", "-S"}), HasSubstr("8080"));
  ns.Drop();
  pod.netns_path = "";
  pod.state = result->state;
  ASSERT_TRUE(network_->Teardown({}, pod).ok()) << network_->Teardown({}, pod).message();
  EXPECT_THAT(Output({"/usr/sbin/iptables", "-t", "nat", "-S"}), Not(HasSubstr("8080")));
  EXPECT_THAT(Leases(), IsEmpty());
}

TEST_F(RealCapabilities, BandwidthFromAnnotations) {
  PodNamespace ns(fake_.dir() + "/ns3");
  sdk::PodNetwork pod = TestPod("aaaabbbbccccdddd", ns.path());
  pod.annotations = {{"kubernetes.io/ingress-bandwidth", "10M"}, {"kubernetes.io/egress-bandwidth", "20M"}};
  const auto result = network_->Setup({}, pod);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_THAT(Output({"/usr/sbin/tc", "qdisc", "show"}), AllOf(HasSubstr("rate 10Mbit"), HasSubstr("rate 20Mbit")));
  pod.state = result->state;
  ASSERT_TRUE(network_->Teardown({}, pod).ok());
  EXPECT_THAT(Output({"/usr/sbin/tc", "qdisc", "show"}), Not(HasSubstr("tbf")));
}

TEST_F(RealCapabilities, AddressesThatThePodAsksFor) {
  PodNamespace ns(fake_.dir() + "/ns4");
  sdk::PodNetwork pod = TestPod("1111222233334444", ns.path());
  pod.annotations = {{"network.berth/ips", "10.77.0.50,fd77::50"}, {"network.berth/mac", "c2:11:22:33:44:55"}};
  const auto result = network_->Setup({}, pod);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_THAT(result->ips, ElementsAre("10.77.0.50", "fd77::50"));
  std::string link;
  ns.Inside([&] { link = Output({"/usr/sbin/ip", "link", "show", "eth0"}); });
  EXPECT_THAT(link, HasSubstr("c2:11:22:33:44:55"));
  pod.state = result->state;
  EXPECT_TRUE(network_->Teardown({}, pod).ok());
}

// bridge answers in the version it is spoken to; the list allows one that the distribution's plugins do not speak yet.
TEST_F(RealCapabilities, TheVersionIsOneThatThePluginsSpeak) {
  fake_.WriteConfig("05-full.conflist", R"({"cniVersion":"0.4.0","cniVersions":["0.3.1","1.0.0","1.1.0"],
      "name":"test","plugins":[)" + Bridge() +
                                            "]}");
  PodNamespace ns(fake_.dir() + "/ns5");
  sdk::PodNetwork pod = TestPod("5555666677778888", ns.path());
  const auto result = network_->Setup({}, pod);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_THAT(result->state, HasSubstr(R"("cniVersion":"1.0.0")"));
  pod.state = result->state;
  EXPECT_TRUE(network_->Teardown({}, pod).ok());
}

TEST(LookIntoNetns, SeesWhatIsThere) {
  FakePlugins fake;
  PodNamespace ns(fake.dir() + "/ns6");
  ns.Inside([] {
    EXPECT_EQ(Output({"/usr/sbin/ip", "link", "add", "one", "type", "veth", "peer", "name", "two"}), "");
    for (const char* address : {"10.9.0.1/24", "10.9.0.2/24", "fd09::1/64"}) {
      EXPECT_EQ(Output({"/usr/sbin/ip", "addr", "add", address, "dev", "one"}), "");
    }
    EXPECT_EQ(Output({"/usr/sbin/ip", "addr", "add", "10.8.0.1", "peer", "10.8.0.2", "dev", "two"}), "");
  });
  for (int i = 0; i < 2; ++i) {  // with and without an id that is there already
    const auto view = LookIntoNetns(ns.path());
    ASSERT_TRUE(view.ok()) << view.status().message();
    EXPECT_THAT(view->interfaces, ::testing::IsSupersetOf({"lo", "one", "two"}));
    EXPECT_THAT(view->addresses, ::testing::IsSupersetOf({"10.9.0.1", "10.9.0.2", "fd09::1", "10.8.0.1", "127.0.0.1"}));
    EXPECT_FALSE(view->interfaces.contains("berthtest0")) << "that is ours";
  }
}

TEST(LookIntoNetns, NamesWhatIsNone) {
  EXPECT_THAT(LookIntoNetns("/no/such").status().message(), HasSubstr("look into network namespace /no/such: open"));
  EXPECT_FALSE(LookIntoNetns("/dev/null").ok());
  EXPECT_FALSE(LookIntoNetns("/proc/self/ns/mnt").ok());
}

}  // namespace
}  // namespace berth::network_cni
