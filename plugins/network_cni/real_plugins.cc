#include "plugins/network_cni/real_plugins.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <thread>
#include <utility>

#include "berth/sdk/unique_fd.h"
#include "core/base/subprocess.h"

namespace berth::network_cni {
namespace {

constexpr char kPlugins[] = "/usr/lib/cni";

bool LoopbackUp() {
  const sdk::UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  return ioctl(fd.get(), SIOCSIFFLAGS, &request) == 0;
}

}  // namespace

PodNamespace::PodNamespace(std::string path) : path_(std::move(path)) {
  const int file = open(path_.c_str(), O_CREAT | O_RDONLY | O_CLOEXEC, 0600);
  if (file >= 0) close(file);
  std::thread([&] {
    EXPECT_TRUE(unshare(CLONE_NEWNET) == 0 && LoopbackUp() &&
                mount("/proc/thread-self/ns/net", path_.c_str(), "", MS_BIND, "") == 0)
        << strerror(errno);
  }).join();
}

void PodNamespace::Drop() {
  umount2(path_.c_str(), MNT_DETACH);
  unlink(path_.c_str());
}

void PodNamespace::Inside(const std::function<void()>& body) const {
  std::thread([&] {
    const sdk::UniqueFd netns(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(setns(netns.get(), CLONE_NEWNET), 0) << strerror(errno);
    body();
  }).join();
}

std::string Output(const std::vector<std::string>& argv) {
  Command command;
  command.argv = argv;
  command.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  const auto result = RunCommand(command);
  return result.ok() ? result->out + result->err : std::string(result.status().message());
}

void RealPlugins::SetUp() {
  for (const char* plugin : {"bridge", "host-local"}) {
    if (access((std::string(kPlugins) + "/" + plugin).c_str(), X_OK) != 0) {
      GTEST_SKIP() << "containernetworking-plugins is not installed";
    }
  }
  fake_.WriteConfig("10-test.conflist", R"({"cniVersion":"1.0.0","name":"test","plugins":[)" + Bridge() + "]}");
  network_ = std::make_unique<CniNetwork>(Options());
}

CniNetwork::Options RealPlugins::Options() {
  CniNetwork::Options options = fake_.Options();
  options.bin_dirs = {"/nonexistent", kPlugins};
  options.timeout_ns = 30'000'000'000;
  options.look = &LookIntoNetns;
  return options;
}

std::string RealPlugins::Bridge(const std::string& more) const {
  return R"({"type":"bridge","bridge":"berthtest0","isGateway":true,"ipMasq":false,)" + more +
         R"("ipam":{"type":"host-local","dataDir":")" + fake_.dir() +
         R"(/leases","ranges":[[{"subnet":"10.77.0.0/24"}],[{"subnet":"fd77::/64"}]],)"
         R"("routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]}})";
}

std::vector<std::string> RealPlugins::Leases() const {
  std::vector<std::string> out;
  const std::string dir = fake_.dir() + "/leases/test";
  if (!std::filesystem::exists(dir)) return out;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    const std::string name = entry.path().filename();
    if (name.find("10.77.") == 0 || name.find("fd77") == 0) out.push_back(name);
  }
  return out;
}

}  // namespace berth::network_cni

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 || mount("", "/", "", MS_REC | MS_PRIVATE, "") != 0 ||
      !berth::network_cni::LoopbackUp()) {
    perror("own network and mount namespaces");
    return 1;
  }
  return RUN_ALL_TESTS();
}
