#include "core/base/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

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

TEST(SubprocessTest, LetsTheCallerWorkMeanwhile) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]), write_end(ends[1]);
  Command command = Shell("cat >&3; echo done");
  command.input = "hello";
  command.descriptors = {{write_end.get(), 3}};
  std::string heard;
  command.meanwhile = [&] {
    pollfd ready{read_end.get(), POLLIN, 0};
    char buffer[16];
    if (poll(&ready, 1, 60'000) == 1) heard.assign(buffer, read(read_end.get(), buffer, sizeof(buffer)));
  };
  const auto result = RunCommand(command);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(heard, "hello");
  EXPECT_EQ(result->out, "done\n");
}

TEST(SubprocessTest, ItsDeadlineWaitsForWhatIsDoneMeanwhile) {
  Command command = Shell("echo done");
  command.meanwhile = [&command] {
    while (MonotonicNanos() <= command.deadline_ns) usleep(10'000);
  };
  command.deadline_ns = MonotonicNanos() + 100'000'000;
  const auto result = RunCommand(command);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out, "done\n");
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
