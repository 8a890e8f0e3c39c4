#include "core/pod/cgroup.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"

namespace berth {
namespace {

TEST(CgroupTreeTest, MakesAndRemovesAGroupInEveryHierarchy) {
  auto tree = CgroupTree::Detect();
  ASSERT_TRUE(tree.ok()) << tree.status();
  const std::string parent = absl::StrCat("/berth_test_", getpid());
  EXPECT_FALSE(tree->Exists(parent));
  ASSERT_TRUE(tree->Make(parent + "/inner").ok());
  ASSERT_TRUE(tree->Make(parent + "/inner").ok());
  EXPECT_TRUE(tree->Exists(parent + "/inner"));
  EXPECT_EQ(tree->OomKills(parent + "/inner"), 0u);
  EXPECT_FALSE(tree->Remove(parent).ok()) << "it has a child";
  EXPECT_TRUE(tree->Remove(parent + "/inner").ok());
  EXPECT_TRUE(tree->Remove(parent).ok());
  EXPECT_TRUE(tree->Remove(parent).ok()) << "removing again";
  EXPECT_FALSE(tree->Exists(parent));
}

TEST(CgroupTreeTest, MovesAProcess) {
  auto tree = CgroupTree::Detect();
  ASSERT_TRUE(tree.ok()) << tree.status();
  const std::string group = absl::StrCat("/berth_test_join_", getpid());
  ASSERT_TRUE(tree->Make(group).ok());
  int hold[2];
  ASSERT_EQ(pipe(hold), 0);
  const pid_t child = fork();
  if (child == 0) {
    char byte;
    close(hold[1]);
    _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
  }
  EXPECT_TRUE(tree->Join(group, child).ok());
  EXPECT_NE(ReadFile(absl::StrCat("/proc/", child, "/cgroup"))->find(group), std::string::npos);
  EXPECT_FALSE(tree->Remove(group).ok()) << "somebody is in it";
  close(hold[1]);
  waitpid(child, nullptr, 0);
  close(hold[0]);
  EXPECT_TRUE(tree->Remove(group).ok());
  EXPECT_FALSE(tree->Join(group, getpid()).ok()) << "it is gone";
}

// However deep a container nests its groups: what runs in them is seen, killed and removed.
TEST(CgroupTreeTest, NothingIsTooDeepToBeEnded) {
  auto tree = CgroupTree::Detect();
  ASSERT_TRUE(tree.ok()) << tree.status();
  const std::string group = absl::StrCat("/berth_test_deep_", getpid());
  std::string deepest = group;
  for (int i = 0; i < 150; ++i) deepest += "/d";
  ASSERT_TRUE(tree->Make(deepest).ok());
  EXPECT_FALSE(tree->Populated(group));
  const pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  ASSERT_TRUE(tree->Join(deepest, child).ok());
  EXPECT_TRUE(tree->Populated(group));
  EXPECT_TRUE(tree->Kill(group).ok());
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  EXPECT_FALSE(tree->Populated(group));
  EXPECT_TRUE(tree->RemoveWithProcesses(group).ok());
  EXPECT_FALSE(tree->Exists(group));
}

TEST(CgroupTreeTest, TheMachinesRootIsNotKilled) {
  auto tree = CgroupTree::Detect();
  ASSERT_TRUE(tree.ok()) << tree.status();
  for (const char* root : {"", "/", "//"}) {
    EXPECT_EQ(tree->Kill(root).code(), absl::StatusCode::kInvalidArgument) << root;
    EXPECT_EQ(tree->RemoveWithProcesses(root).code(), absl::StatusCode::kInvalidArgument) << root;
  }
}

TEST(CgroupTreeTest, RemovesATreeWithItsProcesses) {
  auto tree = CgroupTree::Detect();
  ASSERT_TRUE(tree.ok()) << tree.status();
  const std::string group = absl::StrCat("/berth_test_sweep_", getpid()), inner = group + "/inner/most";
  ASSERT_TRUE(tree->Make(inner).ok());
  const pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  ASSERT_TRUE(tree->Join(inner, child).ok());
  std::set<std::string> walked;
  tree->ForEachGroup([&](const std::string& path) { walked.insert(path); });
  EXPECT_EQ(walked.count(inner), 1u);
  EXPECT_EQ(walked.count(group), 1u);
  // As the init of a machine would, so that the group does not stay for a zombie's sake.
  std::thread reaper([child] { waitpid(child, nullptr, 0); });
  const absl::Status removed = tree->RemoveWithProcesses(group);
  reaper.join();
  EXPECT_TRUE(removed.ok()) << removed;
  EXPECT_FALSE(tree->Exists(group));
  EXPECT_TRUE(tree->RemoveWithProcesses(group).ok()) << "removing again";
}

TEST(CgroupTreeTest, SaysWhenNothingIsMounted) {
  char name[] = "/tmp/berth_cgroup_XXXXXX";
  const std::string dir = mkdtemp(name);
  EXPECT_EQ(CgroupTree::Detect(dir).status().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(RemoveTree(dir).ok());
}

}  // namespace
}  // namespace berth
