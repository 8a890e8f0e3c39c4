#include "core/base/spawn_inside.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "core/base/clock.h"
#include "core/base/subprocess.h"
#include "core/base/unique_fd.h"
#include "gtest/gtest.h"

namespace berth {
namespace {

Command Shell(const std::string& script) {
  Command command;
  command.argv = {"/bin/sh", "-c", script};
  command.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  return command;
}

TEST(SpawnInsideTest, NamesAProgramThatIsMissing) {
  Command command;
  command.argv = {"/nowhere/program"};
  command.directory = "/";
  const absl::Status status = RunCommand(command).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "run /nowhere/program: No such file or directory");
}

TEST(SpawnInsideTest, KillsTheWholeGroupAtTheDeadline) {
  Command command = Shell("sleep 1000 & sleep 1000");
  command.directory = "/";
  command.deadline_ns = MonotonicNanos() + 200'000'000;
  const int64_t begin = MonotonicNanos();
  EXPECT_EQ(RunCommand(command).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_LT(MonotonicNanos() - begin, 5'000'000'000);
}

TEST(SpawnInsideTest, RunsInAnotherDirectory) {
  Command command = Shell("pwd; ls /proc/self/fd | wc -l");
  command.directory = "/usr";
  const auto result = RunCommand(command);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out, "/usr\n4\n");  // the three streams, and the directory that ls reads
  command.directory = "/nowhere";
  EXPECT_EQ(RunCommand(command).status().message(),
            "run /bin/sh: change to directory /nowhere: No such file or directory");
}

TEST(SpawnInsideTest, RunsInAnotherNetworkNamespace) {
  UniqueFd netns;
  std::thread([&] {
    if (unshare(CLONE_NEWNET) == 0) netns = UniqueFd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  }).join();
  if (!netns) GTEST_SKIP() << "may not make a network namespace";
  struct stat want = {};
  ASSERT_EQ(fstat(netns.get(), &want), 0);
  Command command = Shell("stat -L -c %i /proc/self/ns/net; cat");
  command.netns_fd = netns.get();
  command.input = "in";
  const auto result = RunCommand(command);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out, std::to_string(want.st_ino) + "\nin");

  const UniqueFd other(open("/dev/null", O_RDONLY | O_CLOEXEC));
  command.netns_fd = other.get();
  EXPECT_EQ(RunCommand(command).status().message(), "run /bin/sh: enter the network namespace: Invalid argument");
}

TEST(SpawnInsideTest, JoinsItsCgroupsFirst) {
  const std::string cgroup = "/sys/fs/cgroup/pids/berth-test-" + std::to_string(getpid());
  if (mkdir(cgroup.c_str(), 0755) != 0) GTEST_SKIP() << "no pids controller to write to";
  Command command = Shell("cat /proc/self/cgroup");
  command.cgroup_directories = {cgroup};
  const auto result = RunCommand(command);
  EXPECT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(rmdir(cgroup.c_str()), 0);
  EXPECT_NE(result->out.find("/berth-test-" + std::to_string(getpid()) + "\n"), std::string::npos) << result->out;
  EXPECT_EQ(RunCommand(command).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace berth
