#include "core/base/subprocess.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "core/base/clock.h"
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

TEST(SubprocessTest, GivesInputAndTakesBothOutputs) {
  Command command = Shell("cat; echo oops >&2; exit 3");
  command.input = "hello";
  const auto result = RunCommand(command);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out, "hello");
  EXPECT_EQ(result->err, "oops\n");
  EXPECT_EQ(WEXITSTATUS(result->wait_status), 3);
}

TEST(SubprocessTest, IsStartedBeforeItsInputIsKnown) {
  Command command = Shell("cat; echo oops >&2; exit 3");
  auto started = StartedCommand::Start(command);
  ASSERT_TRUE(started.ok()) << started.status();
  StartedCommand moved = *std::move(started);
  EXPECT_FALSE(moved.HasEnded());
  command.input = "hello";
  const auto result = moved.Finish(command);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out, "hello");
  EXPECT_EQ(result->err, "oops\n");
  EXPECT_EQ(WEXITSTATUS(result->wait_status), 3);
}

TEST(SubprocessTest, OneThatNobodyWantsIsKilled) {
  pid_t pid = 0;
  {
    auto started = StartedCommand::Start(Shell("sleep 1000 & wait"));
    ASSERT_TRUE(started.ok()) << started.status();
    pid = started->pid();
    EXPECT_EQ(kill(pid, 0), 0);
  }
  EXPECT_EQ(kill(pid, 0), -1) << "killed and waited for";
}

TEST(SubprocessTest, SeesThatOneHasEnded) {
  auto started = StartedCommand::Start(Shell("exit 5"));
  ASSERT_TRUE(started.ok()) << started.status();
  for (int i = 0; i < 1000 && !started->HasEnded(); ++i) usleep(10000);
  EXPECT_TRUE(started->HasEnded());
  const auto result = started->Finish(Command{.argv = {"/bin/sh"}});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(WEXITSTATUS(result->wait_status), 5);
}

TEST(SubprocessTest, TellsWhatItSaysBeforeItHasEnded) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  Command command = Shell("echo first; read line <&3; echo second; echo no >&2");
  command.descriptors = {{read_end.get(), 3}};
  std::vector<std::string> heard;
  command.on_output = [&](const std::string& out) {
    heard.push_back(out);
    write_end.reset();  // it ends no sooner
  };
  const auto result = RunCommand(command);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(heard, (std::vector<std::string>{"first\n", "first\nsecond\n"}));
  EXPECT_EQ(result->out, "first\nsecond\n");
}

TEST(SubprocessTest, ItsDeadlineWaitsForWhoListens) {
  Command command = Shell("echo first; echo second");
  command.on_output = [&command](const std::string&) {
    while (MonotonicNanos() <= command.deadline_ns) usleep(10'000);
  };
  command.deadline_ns = MonotonicNanos() + 2'000'000'000;
  const auto result = RunCommand(command);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out, "first\nsecond\n");
}

TEST(SubprocessTest, NamesAProgramThatIsMissing) {
  Command command;
  command.argv = {"/nowhere/program"};
  EXPECT_EQ(RunCommand(command).status().code(), absl::StatusCode::kNotFound);
}

TEST(SubprocessTest, KillsTheWholeGroupAtTheDeadline) {
  Command command = Shell("echo begun >&2; sleep 1000 & sleep 1000");
  command.deadline_ns = MonotonicNanos() + 200'000'000;
  const int64_t begin = MonotonicNanos();
  const absl::Status status = RunCommand(command).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  EXPECT_NE(status.message().find("begun"), absl::string_view::npos) << status;
  EXPECT_LT(MonotonicNanos() - begin, 5'000'000'000);
}

TEST(SubprocessTest, IsCancelledByADescriptor) {
  const UniqueFd cancel(eventfd(1, EFD_CLOEXEC));
  Command command = Shell("sleep 1000");
  command.cancel_fd = cancel.get();
  EXPECT_EQ(RunCommand(command).status().code(), absl::StatusCode::kCancelled);
}

TEST(SubprocessTest, KeepsNoMoreOutputThanAllowed) {
  Command command = Shell("head -c 100000 /dev/zero");
  command.output_limit = 1000;
  const auto result = RunCommand(command);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out.size(), 1000u);
  EXPECT_TRUE(result->truncated);
}

TEST(SubprocessTest, DoesNotWaitForADescendantThatKeepsThePipes) {
  const int64_t begin = MonotonicNanos();
  const auto result = RunCommand(Shell("sleep 20 & echo $!"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_LT(MonotonicNanos() - begin, 10'000'000'000);
  kill(std::stoi(result->out), SIGKILL);
}

}  // namespace
}  // namespace berth
