#include "core/plugin/conformance/network_suite.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

namespace berth {
namespace {

using Code = absl::StatusCode;

void BringLoopbackUp() {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  EXPECT_EQ(ioctl(fd.get(), SIOCSIFFLAGS, &request), 0) << strerror(errno);
}

// Threads and children made from now on are in it too.
void EnterHostNamespace() {
  static const bool entered = [] {
    const bool done =
        unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    if (done) BringLoopbackUp();
    return done;
  }();
  ASSERT_TRUE(entered) << "the suite needs namespaces of its own: run it as root";
}

UniqueFd NewNamespace() {
  UniqueFd out;
  std::thread([&] {
    if (unshare(CLONE_NEWNET) == 0) out = UniqueFd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  }).join();
  EXPECT_TRUE(out) << "make a network namespace: " << strerror(errno);
  return out;
}

// Addresses of all interfaces in the namespace but its loopback.
std::set<std::string> AddressesIn(int netns) {
  std::set<std::string> out;
  std::thread([&] {
    ASSERT_EQ(setns(netns, CLONE_NEWNET), 0) << strerror(errno);
    ifaddrs* all = nullptr;
    ASSERT_EQ(getifaddrs(&all), 0) << strerror(errno);
    for (const ifaddrs* a = all; a != nullptr; a = a->ifa_next) {
      if (a->ifa_addr == nullptr || (a->ifa_flags & IFF_LOOPBACK) != 0) continue;
      char text[INET6_ADDRSTRLEN] = "";
      if (a->ifa_addr->sa_family == AF_INET) {
        inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(a->ifa_addr)->sin_addr, text, sizeof(text));
      } else if (a->ifa_addr->sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(a->ifa_addr)->sin6_addr, text, sizeof(text));
      }
      out.insert(text);
    }
    freeifaddrs(all);
  }).join();
  return out;
}

}  // namespace

NetworkSuite::NetworkSuite() : plugin_(GetParam().so) {}

void NetworkSuite::SetUp() {
  ASSERT_NO_FATAL_FAILURE(EnterHostNamespace());
  Restart();
}

void NetworkSuite::TearDown() {
  if (hook_ == nullptr) return;
  for (const auto& [id, netns] : namespaces_) {
    PodNetwork pod;
    pod.pod_id = id;
    const absl::Status status = hook_->Teardown(Call(), pod);
    EXPECT_TRUE(status.ok()) << "teardown is idempotent: " << status;
  }
}

void NetworkSuite::Restart() {
  hook_.reset();
  auto made = plugin_.plugins().MakeNetworkHook(plugin_.name(), GetParam().config(plugin_.scratch()));
  ASSERT_TRUE(made.ok()) << made.status();
  hook_ = *std::move(made);
}

PodNetwork NetworkSuite::NewPod(const std::string& id) {
  PodNetwork pod;
  // As ids of pods are: 64 hexadecimal digits.
  pod.pod_id = std::string(64 - id.size(), '0') + id;
  pod.name = "pod-" + id;
  pod.name_space = "default";
  pod.uid = "uid-" + id;
  UniqueFd& netns = namespaces_[pod.pod_id] = NewNamespace();
  pod.netns_fd = netns.get();
  pod.netns_path = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(netns.get());
  pod.annotations["example.org/note"] = "x";
  return pod;
}

PodNetwork NetworkSuite::WithoutNamespace(PodNetwork pod) {
  namespaces_[pod.pod_id].reset();
  pod.netns_fd = -1;
  pod.netns_path.clear();
  return pod;
}

absl::StatusOr<NetworkResult> NetworkSuite::Setup(PodNetwork& pod) {
  auto result = hook_->Setup(Call(), pod);
  if (result.ok()) pod.state = result->state;
  return result;
}

TEST_P(NetworkSuite, IsReady) {
  const auto status = hook_->Status(Call());
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_TRUE(status->ready) << status->reason << ": " << status->message;
}

TEST_P(NetworkSuite, APodHasTheAddressesThatAreAnswered) {
  PodNetwork pod = NewPod("a1");
  const auto result = Setup(pod);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_FALSE(result->ips.empty());
  const auto there = AddressesIn(pod.netns_fd);
  for (const std::string& ip : result->ips) EXPECT_EQ(there.count(ip), 1u) << ip;
  const absl::Status checked = hook_->Check(Call(), pod);
  EXPECT_TRUE(checked.ok() || checked.code() == Code::kUnimplemented) << checked;
  const absl::Status down = hook_->Teardown(Call(), pod);
  EXPECT_TRUE(down.ok()) << down;
  const auto left = AddressesIn(pod.netns_fd);
  for (const std::string& ip : result->ips) EXPECT_EQ(left.count(ip), 0u) << ip << " is still there";
}

TEST_P(NetworkSuite, PodsHaveAddressesOfTheirOwn) {
  PodNetwork a = NewPod("a1"), b = NewPod("b2");
  const auto first = Setup(a), second = Setup(b);
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_NE(first->ips[0], second->ips[0]);
  EXPECT_TRUE(hook_->Teardown(Call(), a).ok());
  EXPECT_EQ(AddressesIn(b.netns_fd).count(second->ips[0]), 1u) << "one pod's teardown leaves the other";
}

TEST_P(NetworkSuite, TeardownIsIdempotent) {
  PodNetwork pod = NewPod("a1");
  EXPECT_TRUE(hook_->Teardown(Call(), pod).ok()) << "a pod that was never set up";
  ASSERT_TRUE(Setup(pod).ok());
  for (int i = 0; i < 3; ++i) {
    const absl::Status status = hook_->Teardown(Call(), pod);
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST_P(NetworkSuite, TeardownNeedsNoNamespace) {
  EXPECT_TRUE(hook_->Teardown(Call(), WithoutNamespace(NewPod("f0"))).ok()) << "never set up and gone";
  for (int i = 0; i < 40; ++i) {  // more than there are addresses
    PodNetwork pod = NewPod("c" + std::to_string(i));
    const auto result = Setup(pod);
    ASSERT_TRUE(result.ok()) << "after " << i << " pods: " << result.status();
    const absl::Status status = hook_->Teardown(Call(), WithoutNamespace(pod));
    ASSERT_TRUE(status.ok()) << status;
  }
}

TEST_P(NetworkSuite, TeardownWorksAfterARestart) {
  PodNetwork pod = NewPod("a1");
  const auto before = Setup(pod);
  ASSERT_TRUE(before.ok()) << before.status();
  Restart();
  const absl::Status checked = hook_->Check(Call(), pod);
  EXPECT_TRUE(checked.ok() || checked.code() == Code::kUnimplemented) << checked;
  const absl::Status status = hook_->Teardown(Call(), pod);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(AddressesIn(pod.netns_fd).count(before->ips[0]), 0u);
}

TEST_P(NetworkSuite, SetupNeedsANamespace) { EXPECT_FALSE(hook_->Setup(Call(), WithoutNamespace(NewPod("a1"))).ok()); }

TEST_P(NetworkSuite, SetsSeveralPodsUpAtOnce) {
  std::vector<PodNetwork> pods;
  pods.reserve(6);
  for (int i = 0; i < 6; ++i) pods.push_back(NewPod("d" + std::to_string(i)));
  std::vector<std::string> ips(pods.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < pods.size(); ++i) {
    threads.emplace_back([&, i] {
      const auto result = Setup(pods[i]);
      EXPECT_TRUE(result.ok()) << result.status();
      if (result.ok()) ips[i] = result->ips[0];
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::set<std::string>(ips.begin(), ips.end()).size(), pods.size());
  for (const PodNetwork& pod : pods) EXPECT_TRUE(hook_->Teardown(Call(), pod).ok());
}

TEST_P(NetworkSuite, ACancelledSetupIsDoneOrUndone) {
  const UniqueFd cancel(eventfd(1, EFD_CLOEXEC));
  Call call;
  call.cancel_fd = cancel.get();
  PodNetwork pod = NewPod("a1");
  const auto result = hook_->Setup(call, pod);
  EXPECT_TRUE(result.ok() || result.status().code() == Code::kCancelled) << result.status();
  if (result.ok()) pod.state = result->state;
  EXPECT_TRUE(hook_->Teardown(Call(), pod).ok());
}

TEST_P(NetworkSuite, GcKeepsWhatIsValid) {
  PodNetwork kept = NewPod("a1"), lost = NewPod("b2");
  const auto result = Setup(kept);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_TRUE(Setup(lost).ok());
  const absl::Status status = hook_->Gc(Call(), {kept.pod_id});
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(AddressesIn(kept.netns_fd).count(result->ips[0]), 1u);
  EXPECT_TRUE(hook_->Teardown(Call(), lost).ok()) << "also after gc";
}

TEST_P(NetworkSuite, GcReleasesWhatALostDaemonLeft) {
  PodNetwork kept = NewPod("a1");
  const auto result = Setup(kept);
  ASSERT_TRUE(result.ok()) << result.status();
  for (int round = 0; round < 4; ++round) {  // together more than there are addresses
    for (int i = 0; i < 5; ++i) {
      PodNetwork lost = NewPod("b" + std::to_string(round * 5 + i));
      const auto made = Setup(lost);
      ASSERT_TRUE(made.ok()) << "in round " << round << ": " << made.status();
      WithoutNamespace(lost);
    }
    Restart();
    const absl::Status status = hook_->Gc(Call(), {kept.pod_id});
    ASSERT_TRUE(status.ok()) << status;
  }
  EXPECT_EQ(AddressesIn(kept.netns_fd).count(result->ips[0]), 1u);
}

TEST_P(NetworkSuite, GcDisturbsNoPodThatIsBeingSetUp) {
  PodNetwork known = NewPod("a1");
  ASSERT_TRUE(Setup(known).ok());
  std::thread collector([&] {
    for (int i = 0; i < 5; ++i) {
      const absl::Status status = hook_->Gc(Call(), {known.pod_id});
      EXPECT_TRUE(status.ok()) << status;
    }
  });
  for (int i = 0; i < 5; ++i) {
    PodNetwork pod = NewPod("b" + std::to_string(i));
    const auto result = Setup(pod);
    EXPECT_TRUE(result.ok()) << result.status();
    if (result.ok()) {
      EXPECT_EQ(AddressesIn(pod.netns_fd).count(result->ips[0]), 1u) << "after a gc whose list did not have it";
    }
  }
  collector.join();
}

TEST_P(NetworkSuite, TakesEverythingThatAPodCanHave) {
  PodNetwork pod = NewPod("a1");
  pod.cgroup_path = "/kubepods/pod1";
  pod.port_mappings = {{"tcp", 80, 38080, ""}, {"udp", 53, 38053, "127.0.0.1"}, {"sctp", 7, 38007, "::1"}};
  pod.dns_servers = {"10.0.0.10", "fd00::10"};
  pod.dns_searches = {"default.svc.cluster.local"};
  pod.dns_options = {"ndots:5"};
  pod.labels["app"] = "web";
  pod.annotations["large"] = std::string(64 << 10, 'x');
  pod.annotations["quotes"] = "\"'\\\n\t;=$(true)";
  const auto result = Setup(pod);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(hook_->Teardown(Call(), pod).ok());
}

TEST_P(NetworkSuite, IsReadyWhilePodsComeAndGo) {
  std::thread asking([&] {
    for (int i = 0; i < 20; ++i) {
      const auto status = hook_->Status(Call());
      EXPECT_TRUE(status.ok() && status->ready) << status.status();
    }
  });
  for (int i = 0; i < 3; ++i) {
    PodNetwork pod = NewPod("a" + std::to_string(i));
    EXPECT_TRUE(Setup(pod).ok());
    EXPECT_TRUE(hook_->Teardown(Call(), pod).ok());
  }
  asking.join();
}

TEST_P(NetworkSuite, ForgedStateIsHarmless) {
  PodNetwork pod = NewPod("a1");
  for (const std::string& state : {std::string("{"), std::string("null"), std::string("\0\xff", 2), std::string("[[[["),
                                   std::string(1 << 20, 'x')}) {
    pod.state = state;
    static_cast<void>(hook_->Check(Call(), pod));
    const absl::Status status = hook_->Teardown(Call(), pod);
    EXPECT_NE(status.code(), Code::kUnknown) << status;
  }
}

TEST_P(NetworkSuite, UnknownConfigurationIsReported) {
  hook_.reset();
  ExpectUnknownKeyReported(plugin_, GetParam().config, [this](const ConfigValue::Table& config) {
    return plugin_.plugins().MakeNetworkHook(plugin_.name(), config).status();
  });
}

}  // namespace berth
