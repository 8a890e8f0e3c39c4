#include "core/plugin/conformance/executor_suite.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/subprocess.h"

namespace berth {
namespace {

namespace fs = std::filesystem;
using Code = absl::StatusCode;

void PrepareProcess(const std::function<void()>& prepare) {
  static const bool done = [&] {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return false;
    if (prepare) prepare();
    return true;
  }();
  ASSERT_TRUE(done) << "the suite needs a mount namespace of its own: run it as root";
}

bool IsAlive(pid_t pid) { return kill(pid, 0) == 0; }

// Whether the process has ended; it is reaped then.
bool Reap(pid_t pid, int* wait_status) { return waitpid(pid, wait_status, WNOHANG) == pid; }

}  // namespace

struct ExecutorSuite::Exits {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<ContainerExit> seen;
};

absl::StatusOr<SupervisedResult> DirectSupervisor::Run(const Call& call, const SupervisedCommand& command) {
  Command c;
  c.argv = command.argv;
  c.env = command.env;
  c.deadline_ns = call.deadline_ns;
  c.cancel_fd = call.cancel_fd;
  c.output_limit = 16 << 10;
  // What a container inherits must not be our pipes: nobody would wait for their end.
  const std::string output = command.pid_file + ".output";
  if (!command.pid_file.empty()) {
    c.argv = {"/bin/sh", "-c", "output=$1; shift; exec \"$@\" </dev/null >\"$output\" 2>&1", "sh", output};
    c.argv.insert(c.argv.end(), command.argv.begin(), command.argv.end());
  }
  auto result = RunCommand(c);
  if (!result.ok()) return result.status();
  SupervisedResult out{result->wait_status, 0, result->out, result->err};
  if (!command.pid_file.empty()) {
    std::ifstream(command.pid_file) >> out.pid;
    if (const auto text = ReadFile(output, c.output_limit); text.ok()) out.err = *text;
  }
  return out;
}

ExecutorSuite::ExecutorSuite() : plugin_(GetParam().so, &supervisor_), exits_(std::make_shared<Exits>()) {}

void ExecutorSuite::SetUp() {
  ASSERT_NO_FATAL_FAILURE(PrepareProcess(GetParam().prepare));
  Restart();
  // As ids of containers are: 64 hexadecimal digits.
  const std::string number = std::to_string(getpid()) + std::to_string(MonotonicNanos());
  request_.id = std::string(64 - number.size(), '0') + number;
  request_.pod_id = std::string(64, 'b');
  request_.bundle = plugin_.scratch() + "/bundle";
  request_.pid_file = plugin_.scratch() + "/pid";
  fs::create_directories(request_.bundle);
  GetParam().bundle(request_.bundle, request_.id);
}

void ExecutorSuite::TearDown() {
  if (executor_ == nullptr) return;
  const absl::Status status = executor_->Delete(Call(), request_);
  EXPECT_TRUE(status.ok()) << "delete is idempotent: " << status;
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

void ExecutorSuite::Restart() {
  executor_.reset();
  auto made = plugin_.plugins().MakeOciExecutor(plugin_.name(), GetParam().config(plugin_.scratch()));
  ASSERT_TRUE(made.ok()) << made.status();
  executor_ = *std::move(made);
}

OciExecutor::OnExit ExecutorSuite::OnExit() {
  if (Has(kSupervised)) return {};
  return [exits = exits_](const ContainerExit& exit) {
    const std::lock_guard lock(exits->mutex);
    exits->seen.push_back(exit);
    exits->changed.notify_one();
  };
}

int ExecutorSuite::WaitForExit(pid_t pid) {
  constexpr int64_t kPatience = 20'000'000'000;
  int wait_status = -1;
  if (!Has(kSupervised)) {
    std::unique_lock lock(exits_->mutex);
    if (!exits_->changed.wait_for(lock, std::chrono::nanoseconds(kPatience), [&] { return !exits_->seen.empty(); })) {
      ADD_FAILURE() << "no exit was reported";
      return -1;
    }
    wait_status = exits_->seen.front().wait_status;
    exits_->seen.pop_front();
    return wait_status;
  }
  for (const int64_t end = MonotonicNanos() + kPatience; MonotonicNanos() < end; usleep(5000)) {
    if (Reap(pid, &wait_status)) return wait_status;
  }
  ADD_FAILURE() << "process " << pid << " did not end";
  return -1;
}

pid_t ExecutorSuite::Run() {
  const auto pid = Create();
  EXPECT_TRUE(pid.ok()) << pid.status();
  if (!pid.ok()) return 0;
  const absl::Status started = executor_->Start(Call(), request_);
  EXPECT_TRUE(started.ok()) << started;
  return started.ok() ? *pid : 0;
}

absl::StatusOr<pid_t> ExecutorSuite::Exec(const std::string& id, const std::string& process) {
  ExecRequest request;
  request.container_id = request_.id;
  request.exec_id = id;
  request.pod_id = request_.pod_id;
  request.process_file = plugin_.scratch() + "/process-" + id;
  request.pid_file = plugin_.scratch() + "/pid-" + id;
  std::ofstream(request.process_file) << process;
  return executor_->Exec(Call(), request, OnExit());
}

void ExecutorSuite::ExpectState(ExecutorState state) {
  const auto found = executor_->State(Call(), request_);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->state, state);
}

TEST_P(ExecutorSuite, SaysWhatItIs) {
  const auto features = executor_->Features(Call());
  ASSERT_TRUE(features.ok()) << features.status();
  EXPECT_FALSE(features->name.empty());
  EXPECT_FALSE(features->version.empty());
}

TEST_P(ExecutorSuite, AContainerLivesFromCreateToDelete) {
  const auto pid = Create();
  ASSERT_TRUE(pid.ok()) << pid.status();
  EXPECT_TRUE(IsAlive(*pid));
  ExpectState(ExecutorState::kCreated);
  const absl::Status started = executor_->Start(Call(), request_);
  ASSERT_TRUE(started.ok()) << started;
  ExpectState(ExecutorState::kRunning);
  EXPECT_EQ(executor_->State(Call(), request_)->pid, *pid);
  EXPECT_FALSE(executor_->Start(Call(), request_).ok()) << "it runs";
  const absl::Status killed = executor_->Kill(Call(), request_, SIGKILL, false);
  EXPECT_TRUE(killed.ok()) << killed;
  const int wait_status = WaitForExit(*pid);
  EXPECT_TRUE(WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL) << wait_status;
  ExpectState(ExecutorState::kStopped);
  EXPECT_TRUE(executor_->Kill(Call(), request_, SIGTERM, true).ok()) << "there is nobody any more";
  for (int i = 0; i < 2; ++i) {
    const absl::Status deleted = executor_->Delete(Call(), request_);
    EXPECT_TRUE(deleted.ok()) << deleted;
  }
  EXPECT_EQ(executor_->State(Call(), request_).status().code(), Code::kNotFound);
}

TEST_P(ExecutorSuite, AnIdIsUsedOnce) {
  ASSERT_NE(Run(), 0);
  EXPECT_EQ(Create().status().code(), Code::kAlreadyExists);
  ExpectState(ExecutorState::kRunning);
}

TEST_P(ExecutorSuite, UnknownContainers) {
  EXPECT_EQ(executor_->State(Call(), request_).status().code(), Code::kNotFound);
  EXPECT_TRUE(executor_->Delete(Call(), request_).ok());
  EXPECT_FALSE(executor_->Start(Call(), request_).ok());
  EXPECT_FALSE(Exec("e1", GetParam().process).ok());
}

TEST_P(ExecutorSuite, AFailedCreateLeavesNothing) {
  ContainerRequest request = request_;
  request.bundle = plugin_.scratch() + "/nowhere";
  EXPECT_FALSE(executor_->Create(Call(), request, OnExit()).ok());
  std::ofstream(request_.bundle + "/config.json") << "{\"ociVersion\":";
  EXPECT_FALSE(Create().ok()) << "the spec is cut off";
  EXPECT_EQ(executor_->State(Call(), request_).status().code(), Code::kNotFound);
  GetParam().bundle(request_.bundle, request_.id);
  EXPECT_NE(Run(), 0) << "the id is free";
}

TEST_P(ExecutorSuite, ProcessesRunBesideTheFirst) {
  const pid_t pid = Run();
  ASSERT_NE(pid, 0);
  const auto exec = Exec("e1", GetParam().process);
  ASSERT_TRUE(exec.ok()) << exec.status();
  EXPECT_NE(*exec, pid);
  EXPECT_TRUE(IsAlive(*exec));
  EXPECT_FALSE(Exec("e2", R"({"args":["/no/such/program"],"cwd":"/"})").ok());
  EXPECT_FALSE(Exec("e3", "{").ok()) << "no process at all";
  ASSERT_EQ(kill(*exec, SIGKILL), 0);
  EXPECT_TRUE(WIFSIGNALED(WaitForExit(*exec)));
  ExpectState(ExecutorState::kRunning);
}

TEST_P(ExecutorSuite, KillAllReachesEveryProcess) {
  const pid_t pid = Run();
  ASSERT_NE(pid, 0);
  const auto exec = Exec("e1", GetParam().process);
  ASSERT_TRUE(exec.ok()) << exec.status();
  const absl::Status killed = executor_->Kill(Call(), request_, SIGKILL, true);
  EXPECT_TRUE(killed.ok()) << killed;
  EXPECT_TRUE(WIFSIGNALED(WaitForExit(*exec)));
  EXPECT_TRUE(WIFSIGNALED(WaitForExit(pid)));
}

TEST_P(ExecutorSuite, DeleteEndsWhatRuns) {
  const pid_t pid = Run();
  ASSERT_NE(pid, 0);
  const absl::Status deleted = executor_->Delete(Call(), request_);
  EXPECT_TRUE(deleted.ok()) << deleted;
  EXPECT_TRUE(WIFSIGNALED(WaitForExit(pid)));
  EXPECT_EQ(executor_->State(Call(), request_).status().code(), Code::kNotFound);
}

TEST_P(ExecutorSuite, PausesAndResumes) {
  ASSERT_NE(Run(), 0);
  const absl::Status paused = executor_->Pause(Call(), request_);
  if (paused.code() == Code::kUnimplemented) GTEST_SKIP() << paused;
  ASSERT_TRUE(paused.ok()) << paused;
  ExpectState(ExecutorState::kPaused);
  const absl::Status resumed = executor_->Resume(Call(), request_);
  EXPECT_TRUE(resumed.ok()) << resumed;
  ExpectState(ExecutorState::kRunning);
}

TEST_P(ExecutorSuite, AnUpdateHoldsAndTouchesNothingElse) {
  if (!GetParam().memory_limit) GTEST_SKIP() << "it does not update";
  const auto update = [this](const char* resources) {
    const absl::Status status = executor_->Update(Call(), request_, resources);
    EXPECT_TRUE(status.ok()) << resources << ": " << status;
    return GetParam().memory_limit(request_.id);
  };
  ASSERT_TRUE(Create().ok());
  EXPECT_EQ(update(R"({"memory":{"limit":67108864}})"), 64 << 20) << "CREATED";
  ASSERT_TRUE(executor_->Start(Call(), request_).ok());
  ExpectState(ExecutorState::kRunning);
  EXPECT_EQ(update(R"({"cpu":{"shares":200}})"), 64 << 20) << "only the CPU was meant";
  EXPECT_EQ(update(R"({"memory":{"limit":134217728},"cpu":{"shares":300,"quota":50000,"period":100000}})"), 128 << 20);
  Restart();
  EXPECT_EQ(update(R"({"memory":{"limit":33554432}})"), 32 << 20);
  ExpectState(ExecutorState::kRunning);
}

TEST_P(ExecutorSuite, AnUpdateNeedsAContainer) {
  if (!GetParam().memory_limit) GTEST_SKIP() << "it does not update";
  EXPECT_EQ(executor_->Update(Call(), request_, R"({"memory":{"limit":67108864}})").code(), Code::kNotFound);
}

TEST_P(ExecutorSuite, NonsenseResourcesAreRefused) {
  ASSERT_NE(Run(), 0);
  EXPECT_FALSE(executor_->Update(Call(), request_, "{").ok());
  ExpectState(ExecutorState::kRunning);
}

TEST_P(ExecutorSuite, ContainersSurviveARestart) {
  const pid_t pid = Run();
  ASSERT_NE(pid, 0);
  Restart();
  ExpectState(ExecutorState::kRunning);
  const absl::Status attached = executor_->Reattach(Call(), request_, OnExit());
  EXPECT_TRUE(attached.ok() || (Has(kSupervised) && attached.code() == Code::kUnimplemented)) << attached;
  EXPECT_TRUE(executor_->Kill(Call(), request_, SIGKILL, true).ok());
  EXPECT_TRUE(WIFSIGNALED(WaitForExit(pid)));
}

TEST_P(ExecutorSuite, HostileIdsAreRefused) {
  for (const std::string& id :
       {std::string(), std::string(".."), std::string("../../x"), std::string("a/b"), std::string("--root=/"),
        std::string("-h"), std::string("a\0b", 3), std::string(2000, 'a'), std::string("\xff")}) {
    ContainerRequest request = request_;
    request.id = id;
    EXPECT_FALSE(executor_->Create(Call(), request, OnExit()).ok()) << id;
    EXPECT_FALSE(executor_->Start(Call(), request).ok()) << id;
    EXPECT_FALSE(executor_->State(Call(), request).ok()) << id;
  }
}

TEST_P(ExecutorSuite, ACallThatIsOverdueIsAllOrNothing) {
  Call call;
  call.deadline_ns = MonotonicNanos() - 1;
  const auto pid = executor_->Create(call, request_, OnExit());
  ASSERT_FALSE(pid.ok());
  EXPECT_EQ(pid.status().code(), Code::kDeadlineExceeded) << pid.status();
  const absl::Status deleted = executor_->Delete(Call(), request_);
  EXPECT_TRUE(deleted.ok()) << deleted;
  EXPECT_NE(Run(), 0) << "the id is free";
}

TEST_P(ExecutorSuite, WhatItCannotDoItSays) {
  if (!Has(kSandbox)) {
    EXPECT_EQ(executor_->StartSandbox(Call(), SandboxRequest()).code(), Code::kUnimplemented);
    EXPECT_EQ(executor_->PortForward(Call(), "p", 80).status().code(), Code::kUnimplemented);
  }
  if (!Has(kCheckpoint)) {
    EXPECT_EQ(executor_->Checkpoint(Call(), CheckpointRequest()).code(), Code::kUnimplemented);
    EXPECT_EQ(executor_->Restore(Call(), CheckpointRequest(), {}).status().code(), Code::kUnimplemented);
  }
}

TEST_P(ExecutorSuite, UnknownConfigurationIsReported) {
  executor_.reset();
  ExpectUnknownKeyReported(plugin_, GetParam().config, [this](const ConfigValue::Table& config) {
    return plugin_.plugins().MakeOciExecutor(plugin_.name(), config).status();
  });
}

}  // namespace berth
