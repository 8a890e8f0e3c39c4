// Containers, execs and their exits, with shell commands in the executor's place.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/file.h"
#include "core/supervisor/supervisor_fixture.h"

namespace berth {
namespace {

class ProcessTest : public SupervisorTest {
 protected:
  void SetUp() override {
    SupervisorTest::SetUp();
    Launch(Spec());
    ASSERT_NE(supervisor_, nullptr);
  }
};

TEST_F(ProcessTest, PlainCommand) {
  SupervisedCommand command;
  command.argv = {"/bin/sh", "-c", "echo out; echo err >&2; hostname; exit 7"};
  command.env = {"PATH=/usr/bin:/bin"};
  auto result = supervisor_->Run(Within(10), command);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(WEXITSTATUS(result->wait_status), 7);
  EXPECT_EQ(result->out, "out\nharbour\n");
  EXPECT_EQ(result->err, "err\n");
  EXPECT_EQ(result->pid, 0);
}

TEST_F(ProcessTest, PlainCommandPrintsMoreThanIsKept) {
  SupervisedCommand command;
  command.argv = {"/bin/sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x; echo end"};
  command.env = {"PATH=/usr/bin:/bin"};
  auto result = supervisor_->Run(Within(10), command);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out.size(), 16u << 10);
  EXPECT_TRUE(absl::EndsWith(result->out, "xend\n"));
}

TEST_F(ProcessTest, CommandThatDoesNotExist) {
  SupervisedCommand command;
  command.argv = {"/no/such/program"};
  auto result = supervisor_->Run(Within(10), command);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kNotFound) << result.status();
  EXPECT_TRUE(absl::StrContains(result.status().message(), "/no/such/program: No such file")) << result.status();
  command.argv = {"relative"};
  EXPECT_EQ(supervisor_->Run(Within(10), command).status().code(), absl::StatusCode::kInvalidArgument);
  command.argv = {};
  EXPECT_EQ(supervisor_->Run(Within(10), command).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ProcessTest, CommandIsKilledAtItsDeadlineWithItsChildren) {
  SupervisedCommand command;
  command.argv = {"/bin/sh", "-c", "sleep 4711 & sleep 4711; echo never"};
  command.env = {"PATH=/usr/bin:/bin"};
  Call call;
  call.deadline_ns = MonotonicNanos() + 200'000'000;
  auto result = supervisor_->Run(call, command);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kDeadlineExceeded) << result.status();
  for (int i = 0; i < 300 && !ChildrenOf(supervisor_->pid()).empty(); ++i) usleep(10000);
  EXPECT_TRUE(ChildrenOf(supervisor_->pid()).empty());
}

TEST_F(ProcessTest, CommandIsCancelled) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  SupervisedCommand command;
  command.argv = {"/bin/sleep", "4711"};
  Call call;
  call.cancel_fd = read_end.get();
  std::thread cancel([&] {
    usleep(100000);
    write_end.reset();
  });
  auto result = supervisor_->Run(call, command);
  cancel.join();
  EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled) << result.status();
}

TEST_F(ProcessTest, LargeCommandTravels) {
  SupervisedCommand command;
  command.argv = {"/bin/sh", "-c", "echo $#; echo ${#1}", "sh"};
  for (int i = 0; i < 200; ++i) command.argv.push_back(std::string(1000, 'a'));
  auto result = supervisor_->Run(Within(10), command);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out, "200\n1000\n");
}

TEST_F(ProcessTest, ContainerRunsLogsAndExits) {
  pid_t pid = Create("c1", "echo hello; echo oops >&2; printf partial; exit 42");
  ASSERT_GT(pid, 0);
  auto list = supervisor_->List(Within(5));
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->size(), 1u);
  EXPECT_EQ((*list)[0].state, SupervisedState::kRunning);
  EXPECT_EQ((*list)[0].pid, pid);
  Start("c1");
  auto exit = events_.WaitForExit("c1");
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(WEXITSTATUS(exit->wait_status), 42);
  EXPECT_GT(exit->at_unix_ns, UnixNanos() - 10'000'000'000);
  std::string log;
  for (int i = 0; i < 200 && !absl::StrContains(log, "partial"); ++i, usleep(10000)) log = LogOf("c1");
  EXPECT_TRUE(absl::StrContains(log, "Z stdout F hello\n")) << log;
  EXPECT_TRUE(absl::StrContains(log, "Z stderr F oops\n")) << log;
  EXPECT_TRUE(absl::StrContains(log, "Z stdout P partial\n")) << log;
  auto records = ReadExitRecords(spec_.directory);
  ASSERT_TRUE(records.ok()) << records.status();
  ASSERT_EQ(records->size(), 1u);
  EXPECT_EQ((*records)[0].container_id, "c1");
  EXPECT_EQ((*records)[0].wait_status, exit->wait_status);
  EXPECT_EQ((*records)[0].at_unix_ns, exit->at_unix_ns);
  EXPECT_TRUE(supervisor_->Forget(Within(5), "c1", "").ok());
  EXPECT_TRUE(supervisor_->Forget(Within(5), "c1", "").ok()) << "idempotent";
  EXPECT_TRUE(ReadExitRecords(spec_.directory)->empty());
  EXPECT_TRUE(supervisor_->List(Within(5))->empty());
}

TEST_F(ProcessTest, SignalsAndRefusals) {
  ASSERT_GT(Create("c1", "exec sleep 4711"), 0);
  EXPECT_EQ(supervisor_->Forget(Within(5), "c1", "").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(supervisor_->Shutdown(Within(5)).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(supervisor_->PrepareContainer(Within(5), Prepare("c1")).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(supervisor_->Signal(Within(5), "none", "", SIGTERM).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(supervisor_->Signal(Within(5), "c1", "none", SIGTERM).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(supervisor_->Signal(Within(5), "c1", "", 0).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(supervisor_->Signal(Within(5), "c1", "", 99).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(supervisor_->Run(Within(5), CreateCommand("c1", "true")).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(supervisor_->Run(Within(5), ExecCommand("c1", "e", "true")).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(supervisor_->ResizeTerminal(Within(5), "c1", 80, 24).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(supervisor_->PrepareContainer(Within(5), Prepare("a")).status(), absl::OkStatus());
  ContainerPrepare bad = Prepare("b");
  bad.id = "../b";
  EXPECT_EQ(supervisor_->PrepareContainer(Within(5), bad).status().code(), absl::StatusCode::kInvalidArgument);
  Start("c1");
  ASSERT_TRUE(supervisor_->Signal(Within(5), "c1", "", SIGTERM).ok());
  auto exit = events_.WaitForExit("c1");
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(WTERMSIG(exit->wait_status), SIGTERM);
  EXPECT_TRUE(supervisor_->Signal(Within(5), "c1", "", SIGTERM).ok()) << "it has ended";
  EXPECT_TRUE(supervisor_->Forget(Within(5), "a", "").ok());
}

TEST_F(ProcessTest, CreateThatFails) {
  ASSERT_TRUE(supervisor_->PrepareContainer(Within(10), Prepare("c1")).ok());
  SupervisedCommand command = CreateCommand("c1", "true");
  command.argv = {"/bin/sh", "-c", "echo cannot do that >&2; exit 1"};
  auto result = supervisor_->Run(Within(10), command);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(WEXITSTATUS(result->wait_status), 1);
  EXPECT_EQ(result->err, "cannot do that\n");
  EXPECT_EQ(result->pid, 0);
  EXPECT_EQ(LogOf("c1"), "");
  EXPECT_EQ((*supervisor_->List(Within(5)))[0].state, SupervisedState::kFailed);
  ASSERT_GT(Create("c1", "exit 3"), 0) << "prepared again under the same id";
  Start("c1");
  EXPECT_EQ(WEXITSTATUS(events_.WaitForExit("c1")->wait_status), 3);
}

TEST_F(ProcessTest, PidFileThatNamesAStranger) {
  ASSERT_TRUE(supervisor_->PrepareContainer(Within(10), Prepare("c1")).ok());
  SupervisedCommand command = CreateCommand("c1", "true");
  command.argv = {"/bin/sh", "-c", absl::StrCat("echo ", getpid(), " > ", command.pid_file)};
  auto result = supervisor_->Run(Within(10), command);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->pid, 0);
  EXPECT_EQ((*supervisor_->List(Within(5)))[0].state, SupervisedState::kFailed);
}

// DESIGN: 15 of 60 ended before the executor's own exit was seen.
TEST_F(ProcessTest, ShortExecsLoseNoExitCode) {
  ASSERT_GT(Create("c1", "exec sleep 4711"), 0);
  Start("c1");
  size_t descriptors = Descriptors();
  for (int round = 0; round < 60; round += 4) {
    std::vector<std::thread> threads;
    for (int i = round; i < round + 4; ++i) {
      threads.emplace_back([this, i] {
        std::string id = absl::StrCat("e", i);
        ExecPrepare prepare;
        prepare.container_id = "c1";
        prepare.exec_id = id;
        auto pipes = supervisor_->PrepareExec(Within(10), prepare);
        ASSERT_TRUE(pipes.ok()) << pipes.status();
        auto result = supervisor_->Run(Within(10), ExecCommand("c1", id, absl::StrCat("exit ", i)));
        ASSERT_TRUE(result.ok()) << result.status();
        EXPECT_GT(result->pid, 0);
        auto exit = events_.WaitForExit("c1", id);
        ASSERT_TRUE(exit.has_value()) << id;
        EXPECT_EQ(WEXITSTATUS(exit->wait_status), i);
        EXPECT_EQ(*ReadAll(pipes->out.get()), "");
        EXPECT_TRUE(supervisor_->Acknowledge(exit->sequence).ok());
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(supervisor_->List(Within(5))->size(), 1u) << "acknowledged execs are forgotten";
  EXPECT_TRUE(ReadExitRecords(spec_.directory)->empty());
  EXPECT_EQ(Descriptors(), descriptors);
  for (int i = 0; i < 300 && ChildrenOf(supervisor_->pid()).size() != 1; ++i) usleep(10000);
  EXPECT_EQ(ChildrenOf(supervisor_->pid()).size(), 1u);
}

TEST_F(ProcessTest, ExecStreams) {
  ASSERT_GT(Create("c1", "exec sleep 4711"), 0);
  ExecPrepare prepare;
  prepare.container_id = "c1";
  prepare.exec_id = "e1";
  prepare.stdin_open = true;
  auto pipes = supervisor_->PrepareExec(Within(10), prepare);
  ASSERT_TRUE(pipes.ok()) << pipes.status();
  ASSERT_TRUE(pipes->in && pipes->out && pipes->err);
  EXPECT_EQ(supervisor_->PrepareExec(Within(10), prepare).status().code(), absl::StatusCode::kAlreadyExists);
  auto result = supervisor_->Run(Within(10), ExecCommand("c1", "e1", "cat; echo done >&2"));
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_TRUE(WriteAll(pipes->in.get(), "through").ok());
  pipes->in.reset();
  EXPECT_EQ(*ReadAll(pipes->out.get()), "through");
  EXPECT_EQ(*ReadAll(pipes->err.get()), "done\n");
  EXPECT_EQ(events_.WaitForExit("c1", "e1")->wait_status, 0);
  EXPECT_EQ(LogOf("c1"), "") << "execs are not logged";
}

TEST_F(ProcessTest, ExecThatNeverStarted) {
  ASSERT_GT(Create("c1", "exec sleep 4711"), 0);
  ExecPrepare prepare;
  prepare.container_id = "c1";
  prepare.exec_id = "e1";
  auto pipes = supervisor_->PrepareExec(Within(10), prepare);
  ASSERT_TRUE(pipes.ok());
  SupervisedCommand command = ExecCommand("c1", "e1", "true");
  command.argv = {"/bin/sh", "-c", "echo no such command >&2; exit 127"};
  auto result = supervisor_->Run(Within(10), command);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(WEXITSTATUS(result->wait_status), 127);
  EXPECT_EQ(result->pid, 0);
  EXPECT_EQ(result->err, "no such command\n");
  EXPECT_EQ(supervisor_->List(Within(5))->size(), 1u);
  prepare.container_id = "none";
  EXPECT_EQ(supervisor_->PrepareExec(Within(10), prepare).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ProcessTest, ExecPreparedByADeadDaemonIsDropped) {
  ASSERT_GT(Create("c1", "exec sleep 4711"), 0);
  size_t descriptors = Descriptors();
  ExecPrepare prepare;
  prepare.container_id = "c1";
  prepare.exec_id = "e1";
  ASSERT_TRUE(supervisor_->PrepareExec(Within(10), prepare).ok());
  EXPECT_EQ(supervisor_->List(Within(5))->size(), 2u);
  Reconnect();
  for (int i = 0; i < 300 && supervisor_->List(Within(5))->size() != 1; ++i) usleep(10000);
  EXPECT_EQ(supervisor_->List(Within(5))->size(), 1u);
  EXPECT_EQ(Descriptors(), descriptors);
}

TEST_F(ProcessTest, ExecIsKilledWithItsGroup) {
  ASSERT_GT(Create("c1", "exec sleep 4711"), 0);
  ExecPrepare prepare;
  prepare.container_id = "c1";
  prepare.exec_id = "e1";
  auto pipes = supervisor_->PrepareExec(Within(10), prepare);
  ASSERT_TRUE(pipes.ok());
  ASSERT_TRUE(supervisor_->Run(Within(10), ExecCommand("c1", "e1", "sleep 4711 & sleep 4711")).ok());
  ASSERT_TRUE(supervisor_->KillExec(Within(5), "c1", "e1").ok());
  EXPECT_EQ(WTERMSIG(events_.WaitForExit("c1", "e1")->wait_status), SIGKILL);
  EXPECT_EQ(*ReadAll(pipes->out.get()), "") << "end of file: nobody holds the pipe";
  EXPECT_TRUE(supervisor_->KillExec(Within(5), "c1", "e1").ok());
}

TEST_F(ProcessTest, ExitsWhileNoDaemonListensAreReplayed) {
  ASSERT_GT(Create("c1", "exit 5"), 0);
  ASSERT_GT(Create("c2", "exit 6"), 0);
  pid_t pid = supervisor_->pid();
  supervisor_.reset();  // the daemon is gone
  Start("c1");
  Start("c2");
  for (int i = 0; i < 500 && ReadExitRecords(spec_.directory)->size() < 2; ++i) usleep(10000);
  EXPECT_EQ(events_.exits_told(), 0u);
  Reconnect();
  EXPECT_EQ(supervisor_->pid(), pid);
  auto first = events_.WaitForExit("c1");
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(WEXITSTATUS(first->wait_status), 5);
  EXPECT_EQ(WEXITSTATUS(events_.WaitForExit("c2")->wait_status), 6);
  ASSERT_TRUE(supervisor_->Acknowledge(first->sequence).ok());
  ASSERT_TRUE(supervisor_->List(Within(5)).ok());  // the acknowledgement has arrived
  Reconnect();
  ASSERT_TRUE(supervisor_->List(Within(5)).ok());
  for (int i = 0; i < 100 && events_.exits_told() < 3; ++i) usleep(10000);
  EXPECT_EQ(events_.exits_told(), 3u) << "c2 again, c1 not";
}

// A daemon that is killed while it talks: a child process that connects, starts a command and dies.
TEST_F(ProcessTest, KilledDaemonDisturbsNothing) {
  ASSERT_GT(Create("c1", "sleep 0.3; exit 9"), 0);
  for (int i = 0; i < 5; ++i) {
    pid_t daemon = fork();
    if (daemon == 0) {
      auto loop = SupervisorLoop::Start();
      Recorder events;
      auto supervisor = Supervisor::Connect(loop->get(), spec_.directory, &events, Within(10));
      std::thread run([&] {
        SupervisedCommand command;
        command.argv = {"/bin/sleep", "0.2"};
        (void)(*supervisor)->Run(Within(10), command);
      });
      usleep(50000);
      kill(getpid(), SIGKILL);
    }
    waitpid(daemon, nullptr, 0);
  }
  Start("c1");
  EXPECT_EQ(WEXITSTATUS(events_.WaitForExit("c1")->wait_status), 9);
  for (int i = 0; i < 300 && !ChildrenOf(supervisor_->pid()).empty(); ++i) usleep(10000);
  EXPECT_TRUE(ChildrenOf(supervisor_->pid()).empty());
}

TEST_F(ProcessTest, StandardInputIsHeldOrNull) {
  ASSERT_GT(Create("c1", "readlink /proc/self/fd/0"), 0);
  Start("c1");
  ASSERT_TRUE(events_.WaitForExit("c1").has_value());
  EXPECT_TRUE(absl::StrContains(LogOf("c1"), "stdout F /dev/null\n")) << LogOf("c1");
  ContainerPrepare prepare = Prepare("c2");
  prepare.stdio.stdin_open = true;
  ASSERT_TRUE(supervisor_->PrepareContainer(Within(10), prepare).ok());
  SupervisedCommand command = CreateCommand("c2", "cat; exit 4");
  ASSERT_TRUE(supervisor_->Run(Within(10), command).ok());
  Start("c2");
  usleep(100000);
  EXPECT_EQ((*supervisor_->List(Within(5)))[1].state, SupervisedState::kRunning) << "its input stays open";
}

TEST_F(ProcessTest, LogIsReopenedOrKept) {
  ASSERT_GT(Create("c1", "echo one; while [ ! -e " + Path("next") + " ]; do sleep 0.01; done; echo two"), 0);
  Start("c1");
  for (int i = 0; i < 300 && !absl::StrContains(LogOf("c1"), "one"); ++i) usleep(10000);
  ASSERT_EQ(rename(Path("c1.log").c_str(), Path("old.log").c_str()), 0);
  ASSERT_EQ(mkdir(Path("c1.log").c_str(), 0755), 0);
  EXPECT_FALSE(supervisor_->ReopenLog(Within(5), "c1").ok());
  ASSERT_EQ(rmdir(Path("c1.log").c_str()), 0);
  ASSERT_EQ(symlink("/tmp/berth-elsewhere", Path("c1.log").c_str()), 0);
  EXPECT_FALSE(supervisor_->ReopenLog(Within(5), "c1").ok());
  EXPECT_NE(access("/tmp/berth-elsewhere", F_OK), 0);
  ASSERT_EQ(unlink(Path("c1.log").c_str()), 0);
  EXPECT_TRUE(supervisor_->ReopenLog(Within(5), "c1").ok());
  EXPECT_EQ(LogOf("c1"), "");
  ASSERT_TRUE(WriteFileAtomic(Path("next"), "", 0600, Durability::kVolatile).ok());
  ASSERT_TRUE(events_.WaitForExit("c1").has_value());
  EXPECT_TRUE(absl::EndsWith(LogOf("c1"), "stdout F two\n"));
  EXPECT_TRUE(absl::EndsWith(ReadText(Path("old.log")), "stdout F one\n"));
  EXPECT_EQ(supervisor_->ReopenLog(Within(5), "c1").code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ProcessTest, FullDiskDropsLinesAndCounts) {
  ASSERT_EQ(mkdir(Path("small").c_str(), 0755), 0);
  ASSERT_EQ(system(("mount -t tmpfs -o size=64k none " + Path("small")).c_str()), 0);
  ContainerPrepare prepare = Prepare("c1");
  prepare.stdio.log_path = Path("small/c1.log");
  ASSERT_TRUE(supervisor_->PrepareContainer(Within(10), prepare).ok());
  ASSERT_TRUE(supervisor_->Run(Within(10), CreateCommand("c1", "seq 1 20000; exit 8")).ok());
  Start("c1");
  auto exit = events_.WaitForExit("c1");
  ASSERT_TRUE(exit.has_value()) << "it was not held up";
  EXPECT_EQ(WEXITSTATUS(exit->wait_status), 8);
  EXPECT_GT(events_.WaitForDrops("c1"), 0u);
  size_t lines = std::vector<std::string>(absl::StrSplit(ReadText(Path("small/c1.log")), '\n')).size() - 1;
  EXPECT_NEAR(static_cast<double>(lines + (*supervisor_->List(Within(5)))[0].log_drops), 20000, 1);
  ASSERT_TRUE(supervisor_->Forget(Within(5), "c1", "").ok());
  ASSERT_EQ(system(("umount " + Path("small")).c_str()), 0);
}

TEST_F(ProcessTest, LogKeepsEveryLineOfAFastWriter) {
  constexpr int kLines = 500000;
  ASSERT_GT(Create("c1", absl::StrCat("yes ", std::string(99, 'x'), " | head -n ", kLines)), 0);
  int64_t start = MonotonicNanos();
  Start("c1");
  ASSERT_TRUE(events_.WaitForExit("c1").has_value());
  printf("%ld MB/s\n", static_cast<long>(kLines * 100LL * 1000 / (MonotonicNanos() - start)));
  auto log = ReadFile(Path("c1.log"), 200 << 20);
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_EQ(std::count(log->begin(), log->end(), '\n'), kLines);
  EXPECT_EQ(log->size(), kLines * (100u + 40u));
}

TEST_F(ProcessTest, ContainerWithATerminal) {
  ContainerPrepare prepare = Prepare("c1");
  prepare.stdio.terminal = true;
  auto prepared = supervisor_->PrepareContainer(Within(10), prepare);
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  ASSERT_FALSE(prepared->console_socket.empty());
  SupervisedCommand command = CreateCommand("c1", "true");
  command.argv =
      Executor(command.pid_file, prepared->console_socket, "sleep 0.3; stty size; test -t 1 && echo terminal; exit 2");
  auto result = supervisor_->Run(Within(10), command);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_GT(result->pid, 0) << result->err;
  EXPECT_NE(access(prepared->console_socket.c_str(), F_OK), 0);
  EXPECT_TRUE(supervisor_->ResizeTerminal(Within(5), "c1", 123, 45).ok());
  EXPECT_EQ(WEXITSTATUS(events_.WaitForExit("c1")->wait_status), 2);
  std::string log = LogOf("c1");
  EXPECT_TRUE(absl::StrContains(log, " stdout F 45 123\n")) << log;
  EXPECT_TRUE(absl::StrContains(log, " stdout F terminal\n")) << log;
}

TEST_F(ProcessTest, ExecWithATerminal) {
  ASSERT_GT(Create("c1", "exec sleep 4711"), 0);
  ExecPrepare prepare;
  prepare.container_id = "c1";
  prepare.exec_id = "e1";
  prepare.terminal = true;
  auto prepared = supervisor_->PrepareExec(Within(10), prepare);
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  EXPECT_FALSE(prepared->out.valid());
  SupervisedCommand command = ExecCommand("c1", "e1", "true");
  command.argv = Executor(command.pid_file, prepared->console_socket, "read x; echo got $x");
  auto result = supervisor_->Run(Within(10), command);
  ASSERT_TRUE(result.ok()) << result.status();
  auto master = supervisor_->TakeTerminal(Within(5), "c1", "e1");
  ASSERT_TRUE(master.ok()) << master.status();
  EXPECT_FALSE(supervisor_->TakeTerminal(Within(5), "c1", "e1").ok());
  ASSERT_TRUE(WriteAll(master->get(), "word\n").ok());
  std::string text;
  char buffer[256];
  for (ssize_t n; (n = read(master->get(), buffer, sizeof(buffer))) > 0;) text.append(buffer, static_cast<size_t>(n));
  EXPECT_EQ(text, "word\r\ngot word\r\n");
  EXPECT_EQ(events_.WaitForExit("c1", "e1")->wait_status, 0);
}

TEST_F(ProcessTest, TerminalThatNeverComes) {
  ContainerPrepare prepare = Prepare("c1");
  prepare.stdio.terminal = true;
  ASSERT_TRUE(supervisor_->PrepareContainer(Within(10), prepare).ok());
  auto result = supervisor_->Run(Within(10), CreateCommand("c1", "exec sleep 4711"));
  EXPECT_FALSE(result.ok());
  EXPECT_TRUE(absl::StrContains(result.status().message(), "sent no terminal")) << result.status();
  for (int i = 0; i < 300 && !ChildrenOf(supervisor_->pid()).empty(); ++i) usleep(10000);
  EXPECT_TRUE(ChildrenOf(supervisor_->pid()).empty());
}

}  // namespace
}  // namespace berth
