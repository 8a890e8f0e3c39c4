#include "core/container/oom_score.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"

namespace berth {
namespace {

class OomScoreTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/berth_oom_XXXXXX";
    directory_ = mkdtemp(name);
    for (int i = 0; i < 3; ++i) {
      const pid_t child = fork();
      if (child == 0) {
        for (;;) pause();
      }
      children_.push_back(child);
    }
    std::string procs;
    for (const pid_t child : children_) absl::StrAppend(&procs, child, "\n");
    ASSERT_TRUE(WriteFileAtomic(procs_file(), procs, 0600, Durability::kVolatile).ok());
  }
  void TearDown() override {
    for (const pid_t child : children_) {
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
    ASSERT_TRUE(RemoveTree(directory_).ok());
  }
  std::string procs_file() const { return directory_ + "/cgroup.procs"; }

  std::string directory_;
  std::vector<pid_t> children_;
};

TEST_F(OomScoreTest, AllButThoseWithAChoiceOfTheirOwn) {
  ASSERT_EQ(SetOomScoreAdj(children_[2], "", 777).value_or(-1), 777);
  const int own = ReadOomScoreAdj(getpid()).value_or(0);
  EXPECT_EQ(SetOomScoreAdj(children_[0], procs_file(), own + 5).value_or(-1), own + 5);
  EXPECT_EQ(ReadOomScoreAdj(children_[0]).value_or(-1), own + 5);
  EXPECT_EQ(ReadOomScoreAdj(children_[1]).value_or(-1), own + 5);
  EXPECT_EQ(ReadOomScoreAdj(children_[2]).value_or(-1), 777);
}

TEST_F(OomScoreTest, WithoutTheRightToLowerItIsTheDaemonsOwn) {
  const auto lowered = SetOomScoreAdj(children_[0], procs_file(), -900);
  ASSERT_TRUE(lowered.ok()) << lowered.status();
  EXPECT_EQ(ReadOomScoreAdj(children_[0]).value_or(1), *lowered);
  EXPECT_TRUE(*lowered == -900 || *lowered == ReadOomScoreAdj(getpid()).value_or(-1)) << *lowered;
}

TEST_F(OomScoreTest, AnEndedProcessIsNotFound) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(absl::IsNotFound(SetOomScoreAdj(child, procs_file(), 5).status()));
}

}  // namespace
}  // namespace berth
