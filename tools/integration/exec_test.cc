// ExecSync: exit codes, output, timeouts, with each executor.
#include <thread>

#include "absl/time/clock.h"
#include "tools/integration/daemon_test.h"

namespace berth {
namespace {

using testing::HasSubstr;

class ExecTest : public DaemonTest, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(DaemonTest::SetUp());
    ASSERT_NO_FATAL_FAILURE(RunOne("trap 'exit 0' TERM; touch /tmp/ready; while :; do sleep 1; done", GetParam()));
    // A first process without a handler yet would ignore SIGTERM.
    const auto ready = Exec(container_, {"/bin/sh", "-c", "until [ -e /tmp/ready ]; do sleep 0.1; done"});
    ASSERT_OK(ready);
  }
  void TearDown() override {
    if (!pod_.empty()) {
      EXPECT_OK(RemovePod(pod_));
    }
    DaemonTest::TearDown();
  }
};
INSTANTIATE_TEST_SUITE_P(Executors, ExecTest, testing::Values("crun", "runc"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(ExecTest, ExitCodes) {
  for (const int code : {0, 1, 42, 255}) {
    const auto result = Exec(container_, {"/bin/sh", "-c", "exit " + std::to_string(code)});
    ASSERT_OK(result);
    EXPECT_EQ(result->exit_code(), code);
  }
  const auto killed = Exec(container_, {"/bin/sh", "-c", "kill -9 $$"});
  ASSERT_OK(killed);
  EXPECT_EQ(killed->exit_code(), 137);
}

TEST_P(ExecTest, MissingProgramIsAnError) {
  const auto result = Exec(container_, {"/no/such/program"});
  EXPECT_FALSE(result.ok());
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("/no/such/program"));
}

TEST_P(ExecTest, TimeoutKillsAndIsDeadlineExceeded) {
  const absl::Time start = absl::Now();
  EXPECT_CODE(Exec(container_, {"/bin/sleep", "1000"}, 1), kDeadlineExceeded);
  EXPECT_LT(absl::Now() - start, absl::Seconds(15));
  // What it started is gone, too.
  std::string processes;
  for (int i = 0; i < 50; ++i) {
    const auto result = Exec(container_, {"/bin/sh", "-c", "ps"});
    ASSERT_OK(result);
    processes = result->stdout();
    if (processes.find("sleep 1000") == std::string::npos) break;
    absl::SleepFor(absl::Milliseconds(100));
  }
  EXPECT_THAT(processes, testing::Not(HasSubstr("sleep 1000")));
}

TEST_P(ExecTest, OutputIsCappedNotRefused) {
  const auto result = Exec(container_, {"/bin/sh", "-c", "head -c 20971520 /dev/zero; echo done >&2"}, 60);
  ASSERT_OK(result);
  EXPECT_EQ(result->exit_code(), 0);
  EXPECT_LE(result->stdout().size(), size_t{16 << 20});
  EXPECT_GE(result->stdout().size(), size_t{15 << 20});
  EXPECT_EQ(result->stderr(), "done\n");
}

TEST_P(ExecTest, ADescendantThatHoldsThePipeDoesNotHoldTheCall) {
  const absl::Time start = absl::Now();
  const auto result = Exec(container_, {"/bin/sh", "-c", "sleep 60 & echo left"}, 30);
  ASSERT_OK(result);
  EXPECT_EQ(result->stdout(), "left\n");
  EXPECT_LT(absl::Now() - start, absl::Seconds(20));
}

TEST_P(ExecTest, ManyAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      const auto result = Exec(container_, {"/bin/sh", "-c", "echo " + std::to_string(i)});
      if (result.ok() && result->stdout() == std::to_string(i) + "\n" && result->exit_code() == 0) ++right;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 8);
}

TEST_P(ExecTest, NotInAStoppedContainer) {
  ASSERT_OK(StopContainer(container_, 5));
  EXPECT_EQ(Status(container_)->exit_code(), 0) << "SIGTERM was handled";
  EXPECT_CODE(Exec(container_, {"/bin/true"}), kFailedPrecondition);
}

}  // namespace
}  // namespace berth
