// The supervisor that is started ahead of its pod.
#include "core/supervisor/starter.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/supervisor/supervisor_fixture.h"
#include "core/supervisor/wire/messages.h"

namespace berth {
namespace {

std::string Name(pid_t pid) {
  const std::string words = ReadText(absl::StrCat("/proc/", pid, "/cmdline"));
  const size_t begin = words.find('\0') + 1;
  return words.substr(begin, words.find('\0', begin) - begin);
}

std::string Link(pid_t pid, const std::string& what) {
  char target[256];
  const ssize_t n = readlink(absl::StrCat("/proc/", pid, "/", what).c_str(), target, sizeof(target));
  return n < 0 ? "" : std::string(target, static_cast<size_t>(n));
}

std::string Namespace(pid_t pid, const std::string& kind) { return Link(pid, "ns/" + kind); }

class StarterTest : public SupervisorTest {
 protected:
  PodSpec LongSpec() const {
    PodSpec spec = Spec();
    spec.id = std::string(wire::kSpareName.size(), 'a');
    return spec;
  }

  // Both processes of the spare once it is there: the daemon's child and the supervisor to be.
  std::set<pid_t> Spare() {
    std::set<pid_t> found;
    for (int i = 0; i < 500 && found.size() < 2; ++i, usleep(10000)) {
      found.clear();
      for (const pid_t child : ChildrenOf(getpid())) {
        if (Name(child) != wire::kSpareName) continue;
        found.insert(child);
        for (const pid_t grandchild : ChildrenOf(child)) found.insert(grandchild);
      }
    }
    EXPECT_EQ(found.size(), 2u);
    return found;
  }
  static bool AllGone(const std::set<pid_t>& pids) {
    for (int i = 0; i < 500; ++i, usleep(10000)) {
      if (std::none_of(pids.begin(), pids.end(), Alive)) return true;
    }
    return false;
  }
};

TEST_F(StarterTest, TheSpareBecomesThePodsSupervisor) {
  starter_->KeepSpare();
  const std::set<pid_t> spare = Spare();
  PodSpec spec = LongSpec();
  spec.netns_pin = "/run/netns/berth-pod1";
  Launch(spec);
  ASSERT_NE(supervisor_, nullptr);
  EXPECT_EQ(spare.count(supervisor_->pid()), 1u);
  EXPECT_EQ(Name(supervisor_->pid()), spec.id);
  EXPECT_EQ(supervisor_->pod_id(), spec.id);
  const std::set<pid_t> next = Spare();
  EXPECT_EQ(next.count(supervisor_->pid()), 0u);
  for (const char* fd : {"0", "1", "2"}) EXPECT_EQ(Link(supervisor_->pid(), absl::StrCat("fd/", fd)), "/dev/null");
  // A pod works as any other in it.
  ASSERT_GT(Create("c1", "exit 3"), 0);
  Start("c1");
  EXPECT_TRUE(events_.WaitForExit("c1").has_value());
  EXPECT_EQ(ReadText(absl::StrCat("/proc/", supervisor_->pid(), "/comm")), "berth-superviso\n");
  EXPECT_TRUE(KillSupervisor(supervisor_->pid(), spec.id).ok());
  EXPECT_TRUE(events_.WaitForGone()) << "it is known by its pod's name";
  supervisor_.reset();
}

TEST_F(StarterTest, ItIsInNoNamespaceOfItsOwnBeforeItsPodComes) {
  starter_->KeepSpare();
  for (const pid_t pid : Spare()) {
    for (const char* kind : {"net", "ipc", "uts", "mnt"}) EXPECT_EQ(Namespace(pid, kind), Namespace(getpid(), kind));
  }
  PodSpec spec = LongSpec();
  spec.new_ipc = false;
  Launch(spec);
  ASSERT_NE(supervisor_, nullptr);
  for (const char* kind : {"net", "uts"}) {
    EXPECT_NE(Namespace(supervisor_->pid(), kind), Namespace(getpid(), kind)) << kind;
  }
  EXPECT_EQ(Namespace(supervisor_->pid(), "ipc"), Namespace(getpid(), "ipc"));
}

TEST_F(StarterTest, ASpareThatDiedIsNotMissed) {
  starter_->KeepSpare();
  for (const bool parent : {true, false}) {
    const std::set<pid_t> spare = Spare();
    for (const pid_t pid : spare) {
      if ((ChildrenOf(pid).size() == 1) == parent) kill(pid, SIGKILL);
    }
    EXPECT_TRUE(AllGone(spare)) << parent;
    Launch(LongSpec());
    ASSERT_NE(supervisor_, nullptr);
    EXPECT_TRUE(supervisor_->Shutdown(Within(5)).ok());
    supervisor_.reset();
  }
}

TEST_F(StarterTest, ADeadSpareIsBuried) {
  starter_->KeepSpare();
  const std::set<pid_t> spare = Spare();
  pid_t first = 0;
  for (const pid_t pid : spare) first = ChildrenOf(pid).empty() ? first : pid;
  for (const pid_t pid : spare) kill(pid, SIGKILL);
  for (int i = 0; i < 500 && kill(first, 0) == 0; ++i) usleep(10000);
  EXPECT_NE(kill(first, 0), 0) << "a zombie of ours stays";
  EXPECT_TRUE(AllGone(spare));
}

TEST_F(StarterTest, ASpareThatHangsIsEndedAtTheDeadline) {
  starter_->KeepSpare();
  const std::set<pid_t> spare = Spare();
  pid_t second = 0;
  for (const pid_t pid : spare) second = ChildrenOf(pid).empty() ? pid : second;
  kill(second, SIGSTOP);
  const size_t mounts = CountMounts();
  PodSpec spec = LongSpec();
  spec.netns_pin = "/run/netns/berth-pod1";
  const auto failed = Supervisor::Launch(loop_.get(), starter_.get(), spec, &events_, Within(1));
  EXPECT_EQ(failed.status().code(), absl::StatusCode::kDeadlineExceeded) << failed.status();
  kill(second, SIGCONT);
  EXPECT_TRUE(AllGone(spare));
  EXPECT_EQ(CountMounts(), mounts);
  EXPECT_NE(access(spec.directory.c_str(), F_OK), 0);
}

TEST_F(StarterTest, ALaunchThatFailsInTheSpareLeavesNothing) {
  starter_->KeepSpare();
  const std::set<pid_t> spare = Spare();
  const size_t mounts = CountMounts();
  PodSpec spec = LongSpec();
  spec.shm_path = Path("shm");
  spec.sysctls = {{"net.ipv4.no_such_thing", "1"}};
  const auto failed = Supervisor::Launch(loop_.get(), starter_.get(), spec, &events_, Within(10));
  EXPECT_EQ(failed.status().code(), absl::StatusCode::kNotFound) << failed.status();
  EXPECT_TRUE(absl::StrContains(failed.status().message(), "/proc/sys/net/ipv4/no_such_thing")) << failed.status();
  EXPECT_EQ(CountMounts(), mounts);
  EXPECT_NE(access(spec.directory.c_str(), F_OK), 0);
  EXPECT_TRUE(AllGone(spare));
}

TEST_F(StarterTest, NoneIsKeptAnyMore) {
  starter_->KeepSpare();
  const std::set<pid_t> spare = Spare();
  starter_->KeepNoSpare();
  EXPECT_TRUE(AllGone(spare));
  Launch(LongSpec());
  usleep(300'000);
  for (const pid_t child : ChildrenOf(getpid())) EXPECT_NE(Name(child), wire::kSpareName);
}

TEST_F(StarterTest, TheSpareEndsWithItsStarter) {
  starter_->KeepSpare();
  const std::set<pid_t> spare = Spare();
  starter_.reset();
  EXPECT_TRUE(AllGone(spare));
}

}  // namespace
}  // namespace berth
