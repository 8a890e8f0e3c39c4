#include "tools/bench/stand_ins.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/subprocess.h"
#include "gtest/gtest.h"

namespace berth {
namespace {

class StandInsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::string(getenv("TEST_TMPDIR")) + "/XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    top_ = pattern;
    ASSERT_TRUE(MakeDirs(top_ + "/bin").ok());
    ASSERT_EQ(symlink("/bin/sh", (top_ + "/bin/crun").c_str()), 0);
    auto made =
        StandIns::Make(top_ + "/stand-ins", std::string(getenv("TEST_SRCDIR")) + "/berth", {top_ + "/bin/crun"});
    ASSERT_TRUE(made.ok()) << made.status();
    stand_ins_ = *std::move(made);
  }

  CommandResult Run(std::vector<std::string> arguments) {
    Command command;
    command.argv = {top_ + "/stand-ins/crun"};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    command.env = {"CNI_CONTAINERIDS=no", "CNI_CONTAINERID=the id", "CNI_COMMAND="};
    auto result = RunCommand(command);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : CommandResult();
  }

  std::string top_;
  StandIns stand_ins_;
};

TEST_F(StandInsTest, WriteDownWhatTheRealProgramDid) {
  const int64_t before = MonotonicNanos();
  const CommandResult result = Run({"-c", "echo $0 $1; sleep 0.05; exit 7", "zero", "one"});
  EXPECT_EQ(WEXITSTATUS(result.wait_status), 7);
  EXPECT_EQ(result.out, "zero one\n");
  const auto times = stand_ins_.Take();
  ASSERT_TRUE(times.ok()) << times.status();
  ASSERT_EQ(times->size(), 1u);
  const ProcessTime& time = times->front();
  EXPECT_TRUE(time.executor);
  EXPECT_EQ(time.words, "-c echo $0 $1; sleep 0.05; exit 7 zero one  the id");
  EXPECT_GT(time.start, before);
  EXPECT_GE(time.end - time.start, 50'000'000);
  EXPECT_LT(time.end, MonotonicNanos());
}

TEST_F(StandInsTest, PassASignalOn) {
  EXPECT_EQ(WEXITSTATUS(Run({"-c", "kill -9 $$"}).wait_status), 128 + 9);
  EXPECT_EQ(stand_ins_.Take()->size(), 1u);
}

TEST_F(StandInsTest, RefuseALineThatIsTooLong) {
  EXPECT_EQ(WEXITSTATUS(Run({"-c", ":", std::string(100'000, 'x')}).wait_status), 126);
  EXPECT_EQ(stand_ins_.Take()->size(), 0u);
}

}  // namespace
}  // namespace berth
