// Which commands are run, and what becomes of their answers.
#include "plugins/executor_oci/cli_executor.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>

namespace berth::executor_oci {
namespace {

namespace fs = std::filesystem;
using sdk::Code;
using Purpose = sdk::SupervisedCommand::Purpose;
using Words = std::vector<std::string>;

constexpr int Exit(int code) { return code << 8; }

// Answers from two lists, and keeps what it was asked.
struct Script {
  std::deque<sdk::Result<sdk::SupervisedResult>> supervised;
  std::deque<sdk::Result<sdk::CommandResult>> spawned;
  std::vector<sdk::SupervisedCommand> asked;
  std::vector<sdk::Command> asked_here;
  std::vector<sdk::Call> calls;
  std::string resources;  // what the file of `update --resources` held

  void Answer(int wait_status, const std::string& out, const std::string& err, pid_t pid = 0) {
    supervised.push_back(sdk::SupervisedResult{wait_status, pid, out, err});
  }
};

class ScriptedRunner : public CommandRunner {
 public:
  explicit ScriptedRunner(Script* script) : script_(script) {}

  sdk::Result<sdk::SupervisedResult> RunSupervised(const sdk::Call& call,
                                                   const sdk::SupervisedCommand& command) override {
    script_->calls.push_back(call);
    script_->asked.push_back(command);
    for (size_t i = 0; i + 1 < command.argv.size(); ++i) {
      if (command.argv[i] != "--resources") continue;
      std::ifstream file(command.argv[i + 1]);
      script_->resources.assign(std::istreambuf_iterator<char>(file), {});
    }
    if (script_->supervised.empty()) return sdk::Internal("the script has ended");
    auto out = std::move(script_->supervised.front());
    script_->supervised.pop_front();
    return out;
  }
  sdk::Result<sdk::CommandResult> Spawn(const sdk::Call&, const sdk::Command& command) override {
    script_->asked_here.push_back(command);
    if (script_->spawned.empty()) return sdk::Internal("the script has ended");
    auto out = std::move(script_->spawned.front());
    script_->spawned.pop_front();
    return out;
  }

 private:
  Script* const script_;
};

class CliExecutorTest : public testing::Test {
 protected:
  CliExecutorTest() {
    path_ = testing::TempDir() + "executor-XXXXXX";
    EXPECT_NE(mkdtemp(path_.data()), nullptr);
    binary_ = path_ + "/crun";
    std::ofstream(binary_) << "#!/bin/sh\n";
    EXPECT_EQ(chmod(binary_.c_str(), 0755), 0);
    auto opened =
        CliExecutor::Open(Settings{binary_, root(), {"--debug"}, 120}, std::make_unique<ScriptedRunner>(&script_));
    if (opened.ok()) {
      executor_ = *std::move(opened);
    } else {
      ADD_FAILURE() << opened.status().message();
    }
    request_ = {"c1", "p1", path_, path_ + "/pid", ""};
  }
  ~CliExecutorTest() override { fs::remove_all(path_); }

  std::string root() const { return path_ + "/state/crun"; }
  Words Argv(Words rest) const {
    Words out = {binary_, "--root", root(), "--debug"};
    out.insert(out.end(), rest.begin(), rest.end());
    return out;
  }

  std::string path_, binary_;
  Script script_;
  std::unique_ptr<CliExecutor> executor_;
  sdk::ContainerRequest request_;
  const sdk::Call call_;
};

TEST_F(CliExecutorTest, OpenNamesTheMissingBinaryAndItsKey) {
  for (const std::string& binary : {std::string("/nonexistent/crun"), path_, path_ + "/plain"}) {
    std::ofstream(path_ + "/plain") << "";
    const auto opened = CliExecutor::Open(Settings{binary, root(), {}, 1}, std::make_unique<ScriptedRunner>(&script_));
    EXPECT_EQ(opened.status().code(), Code::kFailedPrecondition);
    EXPECT_NE(opened.status().message().find("binary = \"" + binary + "\""), std::string::npos);
  }
  struct stat st;
  ASSERT_EQ(stat(root().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0700u);
}

TEST_F(CliExecutorTest, CreateAnswersThePid) {
  script_.Answer(0, "", "", 4711);
  request_.console_socket = "/run/console.sock";
  const auto pid = executor_->Create(call_, request_);
  ASSERT_TRUE(pid.ok()) << pid.status().message();
  EXPECT_EQ(*pid, 4711);
  ASSERT_EQ(script_.asked.size(), 1u);
  const sdk::SupervisedCommand& asked = script_.asked[0];
  EXPECT_EQ(asked.purpose, Purpose::kCreate);
  EXPECT_EQ(asked.pod_id, "p1");
  EXPECT_EQ(asked.container_id, "c1");
  EXPECT_EQ(asked.pid_file, request_.pid_file);
  EXPECT_EQ(asked.argv, Argv({"create", "--bundle", path_, "--pid-file", path_ + "/pid", "--console-socket",
                              "/run/console.sock", "c1"}));
  EXPECT_LT(script_.calls[0].deadline_ns, std::numeric_limits<int64_t>::max()) << "timeout_seconds";
}

TEST_F(CliExecutorTest, AFailedCreateIsUndone) {
  script_.Answer(Exit(1), "", "executable file `nosuch` not found in $PATH: No such file or directory\n");
  script_.Answer(0, "", "");
  const auto pid = executor_->Create(call_, request_);
  EXPECT_EQ(pid.status().code(), Code::kNotFound);
  EXPECT_EQ(pid.status().message(),
            "create c1: executable file `nosuch` not found in $PATH: No such file or directory");
  ASSERT_EQ(script_.asked.size(), 2u);
  EXPECT_EQ(script_.asked[1].argv, Argv({"delete", "--force", "c1"}));
  EXPECT_EQ(script_.asked[1].purpose, Purpose::kPlain);
}

TEST_F(CliExecutorTest, ACreateWithoutPidIsUndone) {
  script_.Answer(0, "", "");
  script_.Answer(0, "", "");
  EXPECT_EQ(executor_->Create(call_, request_).status().code(), Code::kInternal);
  EXPECT_EQ(script_.asked.size(), 2u);
}

TEST_F(CliExecutorTest, ATimedOutCreateIsUndoneWithTimeOfItsOwn) {
  script_.supervised.push_back(sdk::DeadlineExceeded("too long"));
  script_.Answer(0, "", "");
  sdk::Call late;
  late.deadline_ns = 1;
  EXPECT_EQ(executor_->Create(late, request_).status().code(), Code::kDeadlineExceeded);
  ASSERT_EQ(script_.calls.size(), 2u);
  EXPECT_EQ(script_.calls[0].deadline_ns, 1);
  EXPECT_GT(script_.calls[1].deadline_ns, 1);
}

TEST_F(CliExecutorTest, AnExistingContainerIsNeverDeletedByCreate) {
  fs::create_directory(root() + "/c1");
  EXPECT_EQ(executor_->Create(call_, request_).status().code(), Code::kAlreadyExists);
  EXPECT_TRUE(script_.asked.empty());
  fs::remove(root() + "/c1");
  script_.Answer(Exit(1), "", "container `c1` already exists\n");
  EXPECT_EQ(executor_->Create(call_, request_).status().code(), Code::kAlreadyExists);
  EXPECT_EQ(script_.asked.size(), 1u);
}

TEST_F(CliExecutorTest, HostileNamesNeverReachACommandLine) {
  for (const std::string& id : {std::string(), std::string("--all"), std::string("../c"), std::string("a/b"),
                                std::string("a b"), std::string(129, 'a'), std::string("a\0b", 3)}) {
    request_.id = id;
    EXPECT_EQ(executor_->Create(call_, request_).status().code(), Code::kInvalidArgument) << id;
    EXPECT_EQ(executor_->Delete(call_, request_).code(), Code::kInvalidArgument) << id;
    EXPECT_EQ(executor_->State(call_, request_).status().code(), Code::kInvalidArgument) << id;
  }
  request_.id = "c1";
  request_.bundle = "relative";
  EXPECT_EQ(executor_->Create(call_, request_).status().code(), Code::kInvalidArgument);
  EXPECT_TRUE(script_.asked.empty());
}

TEST_F(CliExecutorTest, StartPauseAndResumeAreOneCommandEach) {
  for (int i = 0; i < 3; ++i) script_.Answer(0, "", "");
  EXPECT_TRUE(executor_->Start(call_, request_).ok());
  EXPECT_TRUE(executor_->Pause(call_, request_).ok());
  EXPECT_TRUE(executor_->Resume(call_, request_).ok());
  EXPECT_EQ(script_.asked[0].argv, Argv({"start", "c1"}));
  EXPECT_EQ(script_.asked[1].argv, Argv({"pause", "c1"}));
  EXPECT_EQ(script_.asked[2].argv, Argv({"resume", "c1"}));
}

TEST_F(CliExecutorTest, PausingWhatIsPausedIsFine) {
  script_.Answer(Exit(1), "", "time=\"x\" level=error msg=\"container not running\"\n");
  script_.Answer(0, R"({"status":"paused","pid":7})", "");
  EXPECT_TRUE(executor_->Pause(call_, request_).ok());
  script_.Answer(Exit(1), "", "time=\"x\" level=error msg=\"container not running\"\n");
  script_.Answer(0, R"({"status":"stopped","pid":0})", "");
  EXPECT_EQ(executor_->Pause(call_, request_).code(), Code::kFailedPrecondition);
}

TEST_F(CliExecutorTest, KillSendsNumbers) {
  script_.Answer(0, "", "");
  script_.Answer(0, "", "");
  EXPECT_TRUE(executor_->Kill(call_, request_, 15, false).ok());
  EXPECT_TRUE(executor_->Kill(call_, request_, 9, true).ok());
  EXPECT_EQ(script_.asked[0].argv, Argv({"kill", "c1", "15"}));
  EXPECT_EQ(script_.asked[1].argv, Argv({"kill", "--all", "c1", "9"}));
  EXPECT_EQ(executor_->Kill(call_, request_, 0, false).code(), Code::kInvalidArgument);
  EXPECT_EQ(executor_->Kill(call_, request_, 65, false).code(), Code::kInvalidArgument);
}

TEST_F(CliExecutorTest, KillingWhatHasEndedIsFine) {
  script_.Answer(Exit(1), "", "open pidfd: No such process\n");
  script_.Answer(0, R"({"status":"stopped","pid":0})", "");
  EXPECT_TRUE(executor_->Kill(call_, request_, 9, false).ok());
  script_.Answer(Exit(1), "", "container does not exist\n");
  EXPECT_TRUE(executor_->Kill(call_, request_, 9, false).ok());
  script_.Answer(Exit(1), "", "a mystery\n");
  script_.Answer(0, R"({"status":"running","pid":7})", "");
  EXPECT_EQ(executor_->Kill(call_, request_, 9, false).message(), "kill c1: a mystery");
}

TEST_F(CliExecutorTest, DeleteForcesAndTakesLeftovers) {
  fs::create_directory(root() + "/c1");
  std::ofstream(root() + "/c1/exec.fifo") << "";
  script_.Answer(0, "", "");
  EXPECT_TRUE(executor_->Delete(call_, request_).ok());
  EXPECT_EQ(script_.asked[0].argv, Argv({"delete", "--force", "c1"}));
  EXPECT_FALSE(fs::exists(root() + "/c1"));
  script_.Answer(Exit(1), "", "cannot open directory '" + root() + "/c1': No such file or directory\n");
  EXPECT_TRUE(executor_->Delete(call_, request_).ok());
}

TEST_F(CliExecutorTest, WorksWithoutASupervisorWhereItMust) {
  for (const sdk::Status& gone : {sdk::NotFound("no such pod"), sdk::Unavailable("hung up")}) {
    script_.supervised.push_back(gone);
    script_.spawned.push_back(sdk::CommandResult{0, "", "", false});
    EXPECT_TRUE(executor_->Delete(call_, request_).ok());
    EXPECT_EQ(script_.asked_here.back().argv, Argv({"delete", "--force", "c1"}));
    script_.supervised.push_back(gone);
    EXPECT_EQ(executor_->Start(call_, request_).code(), gone.code());
  }
}

TEST_F(CliExecutorTest, AVanishedProgramIsNoVanishedContainer) {
  fs::remove(binary_);
  script_.supervised.push_back(sdk::NotFound("no such program"));
  script_.spawned.push_back(sdk::NotFound("no such program"));
  const sdk::Status status = executor_->Delete(call_, request_);
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_NE(status.message().find(binary_), std::string::npos) << status.message();
}

TEST_F(CliExecutorTest, ExecIsDetached) {
  script_.Answer(0, "", "", 99);
  sdk::ExecRequest exec{"c1", "e1", "p1", path_ + "/process.json", path_ + "/pid", "/run/console"};
  const auto pid = executor_->Exec(call_, exec);
  ASSERT_TRUE(pid.ok()) << pid.status().message();
  EXPECT_EQ(*pid, 99);
  EXPECT_EQ(script_.asked[0].purpose, Purpose::kExec);
  EXPECT_EQ(script_.asked[0].exec_id, "e1");
  EXPECT_EQ(script_.asked[0].argv, Argv({"exec", "--detach", "--process", path_ + "/process.json", "--pid-file",
                                         path_ + "/pid", "--console-socket", "/run/console", "c1"}));
  script_.Answer(Exit(255), "", "the container `c1` is paused\n");
  EXPECT_EQ(executor_->Exec(call_, exec).status().code(), Code::kFailedPrecondition);
}

TEST_F(CliExecutorTest, UpdateHandsResourcesOverInAFile) {
  script_.Answer(0, "", "");
  const std::string resources = R"({"memory":{"limit":1000000}})";
  const sdk::Status status = executor_->Update(call_, request_, resources);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(script_.resources, resources);
  const Words& argv = script_.asked[0].argv;
  ASSERT_EQ(argv.size(), 8u);
  EXPECT_EQ(argv[4], "update");
  EXPECT_FALSE(fs::exists(argv[6])) << "removed afterwards";
  for (const char* bad : {"", "[]", "{", "3"}) {
    EXPECT_EQ(executor_->Update(call_, request_, bad).code(), Code::kInvalidArgument) << bad;
  }
  EXPECT_EQ(script_.asked.size(), 1u);
}

TEST_F(CliExecutorTest, StateWithALongAnswerIsAskedAgainHere) {
  script_.Answer(0, std::string(16 << 10, 'x'), "");
  const std::string whole = R"({"status":"running","pid":7,"annotations":{"a":")" + std::string(20000, 'x') + "\"}}";
  script_.spawned.push_back(sdk::CommandResult{0, whole, "", false});
  const auto state = executor_->State(call_, request_);
  ASSERT_TRUE(state.ok()) << state.status().message();
  EXPECT_EQ((*state).pid, 7);
  script_.Answer(Exit(1), "", "error opening file `" + root() + "/c1/status`: No such file or directory\n");
  EXPECT_EQ(executor_->State(call_, request_).status().code(), Code::kNotFound);
}

TEST_F(CliExecutorTest, FeaturesAreAskedOncePerBinary) {
  const auto answer = [&] {
    script_.spawned.push_back(sdk::CommandResult{0, "crun version 1.8.1\nspec: 1.0.0\n", "", false});
    script_.spawned.push_back(sdk::CommandResult{Exit(1), "", "unknown command features\n", false});
  };
  answer();
  for (int i = 0; i < 2; ++i) {
    const auto features = executor_->Features(call_);
    ASSERT_TRUE(features.ok()) << features.status().message();
    EXPECT_EQ((*features).version, "1.8.1");
  }
  EXPECT_EQ(script_.asked_here.size(), 2u);
  std::ofstream(binary_) << "#!/bin/sh\n# another one\n";
  answer();
  EXPECT_TRUE(executor_->Features(call_).ok());
  EXPECT_EQ(script_.asked_here.size(), 4u);
  EXPECT_TRUE(script_.asked.empty()) << "there may be no pod";
}

TEST_F(CliExecutorTest, CommandsThatSayNothing) {
  script_.Answer(Exit(3), "", "");
  EXPECT_EQ(executor_->Start(call_, request_).message(), "start c1: exit status 3 without a message");
  script_.Answer(9, "", "");
  EXPECT_EQ(executor_->Start(call_, request_).message(), "start c1: killed by signal 9");
}

}  // namespace
}  // namespace berth::executor_oci
