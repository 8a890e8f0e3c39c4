// A check that finds nothing is worth nothing: one leak of each sort is planted and has to be named.
#include "tools/integration/leak_check.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <thread>

#include "core/base/file.h"
#include "core/base/subprocess.h"
#include "tools/integration/cgroup_dirs.h"
#include "tools/integration/isolation.h"

namespace berth {
namespace {

using testing::Contains;
using testing::IsEmpty;

constexpr std::chrono::milliseconds kNoWait(0);

class LeakCheckTest : public testing::Test {
 protected:
  void SetUp() override {
    place_ = TheWorld().directory + "/leaks";
    ASSERT_TRUE(MakeDirs(place_ + "/snapshots").ok());
    LeakCheck::Scope scope;
    scope.trees = {place_, "/run", "/var/lib/cni"};
    scope.cgroup_mark = TheWorld().tag;
    scope.daemon = getpid();
    scope.not_leaks.emplace_back("file .*/allowed");
    check_.emplace(std::move(scope));
    before_ = check_->Take();
  }
  void TearDown() override {
    EXPECT_THAT(check_->Leaks(before_, std::chrono::seconds(2)), IsEmpty());
    EXPECT_TRUE(RemoveTree(place_).ok());
  }
  std::vector<std::string> Leaks() { return check_->Leaks(before_, kNoWait); }

  std::string place_;
  std::optional<LeakCheck> check_;
  LeakCheck::Snapshot before_;
};

TEST_F(LeakCheckTest, NothingPlantedNothingFound) { EXPECT_THAT(Leaks(), IsEmpty()); }

TEST_F(LeakCheckTest, Mount) {
  ASSERT_EQ(mount("tmpfs", (place_ + "/snapshots").c_str(), "tmpfs", 0, nullptr), 0);
  EXPECT_THAT(Leaks(), Contains("mount tmpfs on " + place_ + "/snapshots"));
  ASSERT_EQ(umount((place_ + "/snapshots").c_str()), 0);
}

TEST_F(LeakCheckTest, SecondMountOnTheSamePlace) {
  ASSERT_EQ(mount("tmpfs", "/var/lib/cni", "tmpfs", 0, nullptr), 0);
  EXPECT_THAT(Leaks(), Contains("mount tmpfs on /var/lib/cni"));
  ASSERT_EQ(umount("/var/lib/cni"), 0);
}

TEST_F(LeakCheckTest, NetworkNamespace) {
  Command add;
  add.argv = {"/usr/sbin/ip", "netns", "add", "left"};
  ASSERT_EQ(RunCommand(add)->wait_status, 0);
  EXPECT_THAT(Leaks(), Contains("file /run/netns/left"));
  EXPECT_THAT(Leaks(), Contains("mount nsfs on /run/netns/left"));
  add.argv = {"/usr/sbin/ip", "netns", "delete", "left"};
  ASSERT_EQ(RunCommand(add)->wait_status, 0);
  // `ip` made the directory a mount of its own.
  ASSERT_EQ(umount("/run/netns"), 0);
}

TEST_F(LeakCheckTest, Interface) {
  Command add;
  add.argv = {"/usr/sbin/ip", "link", "add", "leftveth", "type", "veth", "peer", "name", "leftpeer"};
  ASSERT_EQ(RunCommand(add)->wait_status, 0);
  EXPECT_THAT(Leaks(), Contains("interface leftveth"));
  add.argv = {"/usr/sbin/ip", "link", "delete", "leftveth"};
  ASSERT_EQ(RunCommand(add)->wait_status, 0);
}

TEST_F(LeakCheckTest, Cgroup) {
  ASSERT_FALSE(CgroupMounts().empty());
  const std::string group = CgroupMounts()[0] + "/" + TheWorld().tag;
  ASSERT_EQ(mkdir(group.c_str(), 0755), 0);
  EXPECT_THAT(Leaks(), Contains("cgroup " + group));
  RemoveCgroups(TheWorld().tag);
}

TEST_F(LeakCheckTest, ProcessAndThenItsZombie) {
  pid_t pid = 0;
  char sleep[] = "/bin/sleep", time[] = "1000";
  char* argv[] = {sleep, time, nullptr};
  ASSERT_EQ(posix_spawn(&pid, sleep, nullptr, nullptr, argv, nullptr), 0);
  // The new program's command line appears some time after exec.
  for (int i = 0; i < 200 && !testing::Value(Leaks(), Contains("process /bin/sleep 1000")); ++i) usleep(10'000);
  EXPECT_THAT(Leaks(), Contains("process /bin/sleep 1000"));
  kill(pid, SIGKILL);
  siginfo_t info;
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
  EXPECT_THAT(Leaks(), Contains("process sleep (zombie)"));
  waitpid(pid, nullptr, 0);
}

TEST_F(LeakCheckTest, CniLease) {
  ASSERT_TRUE(MakeDirs("/var/lib/cni/networks/n").ok());
  ASSERT_TRUE(WriteFileAtomic("/var/lib/cni/networks/n/10.1.0.2", "id", 0644, Durability::kVolatile).ok());
  EXPECT_THAT(Leaks(), Contains("file /var/lib/cni/networks/n/10.1.0.2"));
  ASSERT_TRUE(RemoveTree("/var/lib/cni/networks").ok());
}

TEST_F(LeakCheckTest, SnapshotDirectory) {
  ASSERT_TRUE(MakeDirs(place_ + "/snapshots/7/fs").ok());
  EXPECT_THAT(Leaks(), Contains("directory " + place_ + "/snapshots/7/fs"));
  ASSERT_TRUE(RemoveTree(place_ + "/snapshots/7").ok());
}

TEST_F(LeakCheckTest, Socket) {
  const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  (place_ + "/s.sock").copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_THAT(Leaks(), Contains("socket " + place_ + "/s.sock"));
  EXPECT_THAT(Leaks(), Contains("daemon's descriptor socket"));
  unlink(address.sun_path);
}

TEST_F(LeakCheckTest, FilesButThoseAllowed) {
  ASSERT_TRUE(WriteFileAtomic(place_ + "/allowed", "", 0600, Durability::kVolatile).ok());
  EXPECT_THAT(Leaks(), IsEmpty());
  ASSERT_TRUE(WriteFileAtomic(place_ + "/state", "", 0600, Durability::kVolatile).ok());
  ASSERT_EQ(symlink("nowhere", (place_ + "/dangling").c_str()), 0);
  EXPECT_THAT(Leaks(), Contains("file " + place_ + "/state"));
  EXPECT_THAT(Leaks(), Contains("link " + place_ + "/dangling"));
  unlink((place_ + "/state").c_str());
  unlink((place_ + "/dangling").c_str());
}

TEST_F(LeakCheckTest, DescriptorOfTheDaemon) {
  const auto file = OpenFile("/etc/passwd", O_RDONLY);
  EXPECT_THAT(Leaks(), Contains("daemon's descriptor /etc/passwd"));
}

TEST_F(LeakCheckTest, WaitsForWhatIsOnItsWayOut) {
  ASSERT_TRUE(WriteFileAtomic(place_ + "/soon", "", 0600, Durability::kVolatile).ok());
  std::thread later([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    unlink((place_ + "/soon").c_str());
  });
  EXPECT_THAT(check_->Leaks(before_, std::chrono::seconds(5)), IsEmpty());
  later.join();
}

}  // namespace
}  // namespace berth
