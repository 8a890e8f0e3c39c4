// What bears a name of ours and has no record is removed at a daemon's start; what only looks like it is not touched.
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/file.h"
#include "core/base/id.h"
#include "core/pod/cgroup.h"
#include "core/store/store.h"
#include "tools/integration/cgroup_dirs.h"
#include "tools/integration/daemon_test.h"
#include "tools/integration/isolation.h"

namespace berth {
namespace {

class SweepTest : public DaemonTest {
 protected:
  // One thing of each kind, named by `id`.
  struct Planted {
    std::vector<std::string> paths;  // files and directories
    std::string cgroup;
    pid_t process = 0;  // in the cgroup
  };

  Planted Plant(const std::string& id) {
    Planted planted;
    const std::string netns = "/run/netns/berth-" + id, user = absl::StrCat(place_->state(), "/ns/", id, "/user"),
                      pod = absl::StrCat(place_->state(), "/pods/", id),
                      bundle = absl::StrCat(place_->state(), "/bundles/", id),
                      executor = absl::StrCat(place_->state(), "/executor/crun/", id);
    EXPECT_OK(MakeDirs(absl::StrCat(place_->state(), "/ns/", id)));
    for (const auto& [pin, kind] : {std::pair(netns, "net"), std::pair(user, "uts")}) {
      EXPECT_OK(OpenFile(pin, O_WRONLY | O_CREAT, 0600));
      EXPECT_EQ(mount(absl::StrCat("/proc/self/ns/", kind).c_str(), pin.c_str(), nullptr, MS_BIND, nullptr), 0);
    }
    EXPECT_OK(MakeDirs(pod + "/shm"));
    EXPECT_EQ(mount("shm", (pod + "/shm").c_str(), "tmpfs", 0, nullptr), 0);
    EXPECT_OK(WriteFileAtomic(pod + "/hosts", "x", 0600, Durability::kVolatile));
    EXPECT_OK(MakeDirs(bundle + "/rootfs"));
    EXPECT_OK(WriteFileAtomic(bundle + "/config.json", "{}", 0600, Durability::kVolatile));
    EXPECT_OK(MakeDirs(executor));
    planted.paths = {netns, user, pod, bundle, executor};
    planted.cgroup = absl::StrCat("/", TheWorld().tag, "/pods/", id);
    const auto cgroups = CgroupTree::Detect();
    EXPECT_OK(cgroups->Make(planted.cgroup + "/inner"));
    planted.process = fork();
    if (planted.process == 0) {
      for (;;) pause();
    }
    EXPECT_OK(cgroups->Join(planted.cgroup + "/inner", planted.process));
    return planted;
  }

  static bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

  // Waits: the sweep goes on behind the daemon's first answers.
  template <typename Condition>
  static bool Becomes(const Condition& condition) {
    for (const absl::Time end = absl::Now() + absl::Minutes(1); absl::Now() < end;) {
      if (condition()) return true;
      absl::SleepFor(absl::Milliseconds(50));
    }
    return condition();
  }

  std::string NewId() {
    const auto ids = IdSource::FromKeyFile(place_->root() + "/id.key");
    EXPECT_OK(ids);
    return ids->New();
  }
};

TEST_F(SweepTest, WhatHasNoRecordGoesAndWhatIsNotOursStays) {
  const std::string mine = NewId();
  std::string foreign = NewId();
  foreign.back() = foreign.back() == '0' ? '1' : '0';
  KillDaemon();
  const Planted ours = Plant(mine), theirs = Plant(foreign);
  const pid_t dead = fork();
  if (dead == 0) _exit(0);
  waitpid(dead, nullptr, 0);
  const std::string temporary = absl::StrCat(place_->root(), "/id.key.tmp.", dead, ".0");
  ASSERT_OK(WriteFileAtomic(temporary, "x", 0600, Durability::kVolatile));

  ASSERT_OK(StartDaemon());
  int status = 0;
  EXPECT_TRUE(Becomes([&] { return waitpid(ours.process, &status, WNOHANG) == ours.process; }));
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  for (const std::string& path : ours.paths) {
    EXPECT_TRUE(Becomes([&] { return !Exists(path); })) << path;
  }
  EXPECT_TRUE(Becomes([&] { return CgroupsWith(mine).empty(); }));
  EXPECT_FALSE(Exists(temporary));
  EXPECT_THAT(DaemonLog(), testing::HasSubstr(mine));

  for (const std::string& path : theirs.paths) EXPECT_TRUE(Exists(path)) << path;
  EXPECT_THAT(CgroupsWith(foreign), testing::Not(testing::IsEmpty()));
  EXPECT_EQ(waitpid(theirs.process, &status, WNOHANG), 0);
  EXPECT_THAT(DaemonLog(), testing::Not(testing::HasSubstr(foreign)));

  // What the test itself has made.
  kill(theirs.process, SIGKILL);
  waitpid(theirs.process, &status, 0);
  EXPECT_OK(CgroupTree::Detect()->RemoveWithProcesses(theirs.cgroup));
  for (const std::string& path : theirs.paths) {
    umount(path.c_str());
    umount((path + "/shm").c_str());
    EXPECT_OK(RemoveTree(path));
  }
  EXPECT_OK(RemoveTree(absl::StrCat(place_->state(), "/ns/", foreign)));
}

// As after a power cut that took the records back while, in a test, all they describe is still there: a supervisor with
// a running container, its cgroups, its network, its snapshot.
TEST_F(SweepTest, AWholePodWithoutItsRecordsIsEnded) {
  RunOne("while :; do sleep 1; done");
  KillDaemon();
  {
    const auto store = Store::Open(place_->root() + "/meta.db");
    ASSERT_OK(store);
    Transaction change;
    change.Delete(Table::kPods, pod_).Delete(Table::kContainers, container_);
    ASSERT_OK((*store)->Commit(change, Durability::kDurable));
  }
  ASSERT_OK(StartDaemon());
  EXPECT_EQ(client().ListPodSandbox(cri::ListPodSandboxRequest())->items_size(), 0);
  // The rest is TearDown's: nothing is left.
}

}  // namespace
}  // namespace berth
