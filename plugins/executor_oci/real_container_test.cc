// Containers from create to delete with the runtimes of this machine, without a supervisor: states, and the errors that
// only a container gives.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "plugins/executor_oci/cli_executor.h"
#include "plugins/executor_oci/direct_runner.h"
#include "plugins/snapshot_overlay/test_directory.h"

namespace berth::executor_oci {
namespace {

namespace fs = std::filesystem;
using sdk::Code;
using sdk::ExecutorState;
using snapshot_overlay::InMountNamespace;
using snapshot_overlay::TestDirectory;
using snapshot_overlay::WriteTestFile;

constexpr char kSleeper[] = "plugins/executor_oci/sleeper";  // in the runfiles

class RealContainerTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (access(GetParam(), X_OK) != 0) GTEST_SKIP() << GetParam() << " is not installed";
    for (const char* name : {"/rootfs/bin", "/rootfs/proc", "/rootfs/dev", "/rootfs/sys"}) {
      fs::create_directories(dir_.path() + name);
    }
    fs::copy_file(kSleeper, dir_.path() + "/rootfs/bin/sleep");
    auto opened =
        CliExecutor::Open(Settings{GetParam(), dir_.path() + "/root", {}, 20}, std::make_unique<DirectRunner>());
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    executor_ = *std::move(opened);
    request_ = {"c" + std::to_string(getpid()), "p1", dir_.path(), dir_.path() + "/pid", ""};
  }

  static std::string Process(const std::string& program) {
    return R"({"user":{"uid":0,"gid":0},"args":[")" + program + R"(","1000"],"env":["PATH=/bin"],"cwd":"/"})";
  }
  void WriteBundle(const std::string& program) {
    WriteTestFile(dir_.path() + "/config.json", R"({"ociVersion":"1.0.2","process":)" + Process(program) +
                                                    R"(,"root":{"path":"rootfs"},"mounts":[{"destination":"/proc",)"
                                                    R"("type":"proc","source":"proc"}],"linux":{"namespaces":)"
                                                    R"([{"type":"pid"},{"type":"mount"}],"cgroupsPath":"/berth-test-)" +
                                                    request_.id + "\"}}");
  }
  sdk::Result<pid_t> Exec(const std::string& program) {
    WriteTestFile(dir_.path() + "/process.json", Process(program));
    fs::remove(dir_.path() + "/exec-pid");
    return executor_->Exec(call_,
                           {request_.id, "e1", "p1", dir_.path() + "/process.json", dir_.path() + "/exec-pid", ""});
  }
  void ExpectState(ExecutorState state) {
    const auto found = executor_->State(call_, request_);
    ASSERT_TRUE(found.ok()) << found.status().message();
    EXPECT_EQ((*found).state, state);
  }

  // Reaps the container's first process and, because that ends only after them, those exec'd into it.
  static int Reap(pid_t pid) {
    int wait_status = 0;
    for (pid_t reaped = 0; reaped != pid;) {
      reaped = waitpid(-1, &wait_status, 0);
      if (reaped < 0) {
        ADD_FAILURE() << "reap " << pid << ": " << strerror(errno);
        return 0;
      }
    }
    return wait_status;
  }

  // Where crun finds one cgroup hierarchy, and what it leaves is reaped here.
  void Alone(const std::function<void()>& body) {
    InMountNamespace([&] {
      ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
      umount2("/sys/fs/cgroup/unified", MNT_DETACH);
      body();
      EXPECT_TRUE(executor_->Delete(call_, request_).ok());
    });
  }

  TestDirectory dir_;
  std::unique_ptr<CliExecutor> executor_;
  sdk::ContainerRequest request_;
  const sdk::Call call_;
};

TEST_P(RealContainerTest, LivesFromCreateToDelete) {
  WriteBundle("sleep");
  Alone([&] {
    const auto pid = executor_->Create(call_, request_);
    ASSERT_TRUE(pid.ok()) << pid.status().message();
    ExpectState(ExecutorState::kCreated);
    EXPECT_EQ(executor_->Create(call_, request_).status().code(), Code::kAlreadyExists);
    sdk::Status status = executor_->Start(call_, request_);
    ASSERT_TRUE(status.ok()) << status.message();
    ExpectState(ExecutorState::kRunning);
    EXPECT_EQ(executor_->Start(call_, request_).code(), Code::kFailedPrecondition);

    const auto exec = Exec("sleep");
    EXPECT_TRUE(exec.ok()) << exec.status().message();
    const auto missing = Exec("nosuch");
    EXPECT_EQ(missing.status().code(), Code::kNotFound) << missing.status().message();
    EXPECT_NE(missing.status().message().find("nosuch"), std::string::npos) << missing.status().message();
    status = executor_->Update(call_, request_, R"({"memory":{"limit":100000000}})");
    EXPECT_TRUE(status.ok()) << status.message();

    for (int i = 0; i < 2; ++i) EXPECT_TRUE(executor_->Pause(call_, request_).ok());
    ExpectState(ExecutorState::kPaused);
    EXPECT_EQ(Exec("sleep").status().code(), Code::kFailedPrecondition);
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(executor_->Resume(call_, request_).ok());

    EXPECT_TRUE(executor_->Kill(call_, request_, SIGKILL, false).ok());
    EXPECT_TRUE(WIFSIGNALED(Reap(*pid)));
    ExpectState(ExecutorState::kStopped);
    for (bool all : {false, true}) EXPECT_TRUE(executor_->Kill(call_, request_, SIGTERM, all).ok());
    EXPECT_EQ(executor_->Start(call_, request_).code(), Code::kFailedPrecondition);
    EXPECT_FALSE(Exec("sleep").ok());
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(executor_->Delete(call_, request_).ok());
    EXPECT_EQ(executor_->State(call_, request_).status().code(), Code::kNotFound);
  });
  EXPECT_TRUE(fs::is_empty(dir_.path() + "/root"));
}

TEST_P(RealContainerTest, DeleteEndsWhatRuns) {
  WriteBundle("sleep");
  Alone([&] {
    const auto pid = executor_->Create(call_, request_);
    ASSERT_TRUE(pid.ok()) << pid.status().message();
    ASSERT_TRUE(executor_->Start(call_, request_).ok());
    EXPECT_TRUE(executor_->Delete(call_, request_).ok());
    EXPECT_TRUE(WIFSIGNALED(Reap(*pid)));
  });
}

TEST_P(RealContainerTest, AFailedCreateLeavesNothing) {
  for (const char* program : {"nosuch", "/bin/nosuch", "/proc"}) {
    WriteBundle(program);
    Alone([&] {
      const sdk::Status status = executor_->Create(call_, request_).status();
      EXPECT_EQ(status.code(), program == std::string("/proc") ? Code::kPermissionDenied : Code::kNotFound)
          << status.message();
      EXPECT_EQ(executor_->State(call_, request_).status().code(), Code::kNotFound);
    });
    EXPECT_TRUE(fs::is_empty(dir_.path() + "/root"));
  }
}

INSTANTIATE_TEST_SUITE_P(Runtimes, RealContainerTest, testing::Values("/usr/bin/crun", "/usr/sbin/runc"),
                         [](const auto& info) { return fs::path(info.param).filename().string(); });

}  // namespace
}  // namespace berth::executor_oci
