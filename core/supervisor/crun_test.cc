// A real executor: crun, in the pod's namespaces, with the pod's shared pid namespace, execs and a terminal.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/supervisor/supervisor_fixture.h"

namespace berth {
namespace {

constexpr char kCrun[] = "/usr/bin/crun";

std::string Process(const std::string& script, bool terminal, const std::string& capabilities) {
  std::string set = absl::StrCat("[", capabilities, "]");
  return absl::StrCat(R"({"terminal":)", terminal ? "true" : "false",
                      R"(,"user":{"uid":0,"gid":0},"args":["/bin/sh","-c",")", script,
                      R"("],"env":["PATH=/usr/bin:/bin"],"cwd":"/","noNewPrivileges":true,"capabilities":{"bounding":)",
                      set, R"(,"effective":)", set, R"(,"permitted":)", set, "}}");
}

class CrunTest : public SupervisorTest {
 protected:
  void SetUp() override {
    SupervisorTest::SetUp();
    if (access(kCrun, X_OK) != 0) GTEST_SKIP() << "no crun here";
  }

  // Writes the bundle's config.json. `script` must need no JSON escapes.
  void WriteConfig(const std::string& id, const std::string& script, bool terminal = false,
                   const std::string& capabilities = "\"CAP_KILL\"") {
    std::string pid_ns = supervisor_->pid_ns_path();
    std::string config = absl::StrCat(
        R"({"ociVersion":"1.0.2","process":)", Process(script, terminal, capabilities),
        R"(,"root":{"path":"rootfs","readonly":true},"mounts":[)",
        R"({"destination":"/proc","type":"proc","source":"proc"},)",
        R"({"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["nosuid","mode=755"]},)",
        R"({"destination":"/dev/pts","type":"devpts","source":"devpts","options":["newinstance","ptmxmode=0666"]}],)",
        R"("linux":{"namespaces":[{"type":"mount"},{"type":"pid")",
        pid_ns.empty() ? "" : absl::StrCat(R"(,"path":")", pid_ns, "\""), R"(},{"type":"network","path":")",
        supervisor_->net_ns_path(), R"("},{"type":"ipc","path":")", supervisor_->ipc_ns_path(),
        R"("},{"type":"uts","path":")", supervisor_->uts_ns_path(), R"("}]}})");
    ASSERT_TRUE(
        WriteFileAtomic(Path(absl::StrCat("bundle-", id, "/config.json")), config, 0600, Durability::kVolatile).ok());
  }

  SupervisedCommand Crun(const std::vector<std::string>& arguments) const {
    SupervisedCommand command;
    command.pod_id = spec_.id;
    command.argv = {kCrun, absl::StrCat("--root=", Path("crun")), "--cgroup-manager=disabled"};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    command.env = {"PATH=/usr/bin:/bin", "XDG_RUNTIME_DIR=/run"};
    return command;
  }

  void CrunCreate(const std::string& id, const std::string& script, bool terminal = false,
                  const std::string& capabilities = "\"CAP_KILL\"") {
    ContainerPrepare prepare = Prepare(id);
    prepare.stdio.terminal = terminal;
    auto prepared = supervisor_->PrepareContainer(Within(10), prepare);
    ASSERT_TRUE(prepared.ok()) << prepared.status();
    WriteConfig(id, script, terminal, capabilities);
    std::string bundle = Path(absl::StrCat("bundle-", id));
    SupervisedCommand command =
        Crun({"create", absl::StrCat("--bundle=", bundle), absl::StrCat("--pid-file=", bundle, "/pid")});
    if (terminal) command.argv.push_back(absl::StrCat("--console-socket=", prepared->console_socket));
    command.argv.push_back(id);
    command.purpose = SupervisedCommand::Purpose::kCreate;
    command.container_id = id;
    command.pid_file = absl::StrCat(bundle, "/pid");
    auto result = supervisor_->Run(Within(20), command);
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_EQ(result->wait_status, 0) << result->err;
    ASSERT_GT(result->pid, 0);
    Plain({"start", id});
  }

  void Plain(const std::vector<std::string>& arguments) {
    auto result = supervisor_->Run(Within(20), Crun(arguments));
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->wait_status, 0) << absl::StrJoin(arguments, " ") << ": " << result->err;
  }

  absl::StatusOr<SupervisedResult> CrunExec(const std::string& id, const std::string& exec, const std::string& script) {
    std::string file = Path(absl::StrCat("bundle-", id, "/", exec, ".json"));
    RETURN_IF_ERROR(WriteFileAtomic(file, Process(script, false, ""), 0600, Durability::kVolatile));
    std::string pid_file = Path(absl::StrCat("bundle-", id, "/", exec, ".pid"));
    SupervisedCommand command =
        Crun({"exec", "--detach", absl::StrCat("--pid-file=", pid_file), absl::StrCat("--process=", file), id});
    command.purpose = SupervisedCommand::Purpose::kExec;
    command.container_id = id;
    command.exec_id = exec;
    command.pid_file = pid_file;
    return supervisor_->Run(Within(20), command);
  }
};

TEST_F(CrunTest, ContainerInThePodsNamespaces) {
  Launch(Spec());
  size_t mounts = CountMounts();
  ASSERT_NO_FATAL_FAILURE(CrunCreate("c1", "hostname; readlink /proc/self/ns/net; exit 17"));
  auto exit = events_.WaitForExit("c1");
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(WEXITSTATUS(exit->wait_status), 17);
  char net[64] = {};
  ASSERT_GT(readlink(supervisor_->net_ns_path().c_str(), net, sizeof(net) - 1), 0);
  std::string log = LogOf("c1");
  EXPECT_TRUE(absl::StrContains(log, "stdout F harbour\n")) << log;
  EXPECT_TRUE(absl::StrContains(log, absl::StrCat("stdout F ", net, "\n"))) << log;
  EXPECT_EQ(CountMounts(), mounts);
  Plain({"delete", "--force", "c1"});
}

TEST_F(CrunTest, CreateFailureSaysWhy) {
  Launch(Spec());
  ContainerPrepare prepare = Prepare("c1");
  ASSERT_TRUE(supervisor_->PrepareContainer(Within(10), prepare).ok());
  SupervisedCommand command = Crun({"create", absl::StrCat("--bundle=", Path("bundle-c1")), "c1"});
  command.purpose = SupervisedCommand::Purpose::kCreate;
  command.container_id = "c1";
  command.pid_file = Path("bundle-c1/pid");
  auto result = supervisor_->Run(Within(20), command);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_NE(result->wait_status, 0);
  EXPECT_TRUE(absl::StrContains(result->err, "config.json")) << result->err;
  EXPECT_EQ(LogOf("c1"), "");
}

TEST_F(CrunTest, SixtyShortExecs) {
  Launch(Spec());
  ASSERT_NO_FATAL_FAILURE(CrunCreate("c1", "exec sleep 4711"));
  int64_t start = MonotonicNanos();
  for (int i = 0; i < 60; ++i) {
    std::string id = absl::StrCat("e", i);
    ExecPrepare prepare;
    prepare.container_id = "c1";
    prepare.exec_id = id;
    auto pipes = supervisor_->PrepareExec(Within(10), prepare);
    ASSERT_TRUE(pipes.ok()) << pipes.status();
    auto result = CrunExec("c1", id, absl::StrCat("echo ", i, "; exit ", i));
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_GT(result->pid, 0) << i << " " << result->wait_status << result->err;
    EXPECT_EQ(*ReadAll(pipes->out.get()), absl::StrCat(i, "\n"));
    auto exit = events_.WaitForExit("c1", id);
    ASSERT_TRUE(exit.has_value()) << i;
    EXPECT_EQ(WEXITSTATUS(exit->wait_status), i);
    EXPECT_TRUE(supervisor_->Acknowledge(exit->sequence).ok());
  }
  printf("an exec takes %ld us\n", static_cast<long>((MonotonicNanos() - start) / 60 / 1000));
  ExecPrepare prepare;
  prepare.container_id = "c1";
  prepare.exec_id = "missing";
  ASSERT_TRUE(supervisor_->PrepareExec(Within(10), prepare).ok());
  ASSERT_TRUE(supervisor_->Signal(Within(5), "c1", "", SIGKILL).ok());
  EXPECT_EQ(WTERMSIG(events_.WaitForExit("c1")->wait_status), SIGKILL);
  Plain({"delete", "--force", "c1"});
}

TEST_F(CrunTest, Terminal) {
  Launch(Spec());
  ASSERT_NO_FATAL_FAILURE(CrunCreate("c1", "test -t 0 && echo terminal; exit 3", true));
  EXPECT_EQ(WEXITSTATUS(events_.WaitForExit("c1")->wait_status), 3);
  EXPECT_TRUE(absl::StrContains(LogOf("c1"), "stdout F terminal\n")) << LogOf("c1");
  Plain({"delete", "--force", "c1"});
}

TEST_F(CrunTest, SharedPidNamespaceHidesTheHost) {
  PodSpec spec = Spec();
  spec.shared_pid = true;
  Launch(spec);
  ASSERT_NO_FATAL_FAILURE(CrunCreate("c1", "exec sleep 4711"));
  const char script[] =
      "cat /proc/1/comm; ls -A /proc/1/root/ 2>/dev/null; ls -A /proc/1/cwd/ 2>/dev/null; ls -A /proc/1/fd/ "
      "2>/dev/null; cat /proc/1/environ "
      "/proc/1/root/etc/passwd 2>/dev/null; grep -c . /proc/1/mountinfo; ls /proc | grep -c ^[0-9]; kill -9 1; cat "
      "/proc/1/comm";
  for (const char* capabilities :
       {"\"CAP_KILL\",\"CAP_DAC_OVERRIDE\"", "\"CAP_KILL\",\"CAP_SYS_PTRACE\",\"CAP_DAC_OVERRIDE\""}) {
    std::string id = absl::StrContains(capabilities, "PTRACE") ? "ptrace" : "plain";
    ASSERT_NO_FATAL_FAILURE(CrunCreate(id, script, false, capabilities));
    ASSERT_TRUE(events_.WaitForExit(id).has_value());
    std::string text;
    for (absl::string_view line : absl::StrSplit(LogOf(id), '\n', absl::SkipEmpty())) {
      absl::StrAppend(&text, line.substr(line.find(" F ") == absl::string_view::npos ? 0 : line.find(" F ") + 3), "\n");
    }
    EXPECT_TRUE(absl::StartsWith(text, "berth-init\n1\n")) << text;
    EXPECT_TRUE(absl::EndsWith(text, "berth-init\n")) << text;
    EXPECT_FALSE(absl::StrContains(text, "root:")) << text;
    Plain({"delete", "--force", id});
  }
  ASSERT_TRUE(supervisor_->Signal(Within(5), "c1", "", SIGKILL).ok());
  ASSERT_TRUE(events_.WaitForExit("c1").has_value());
  Plain({"delete", "--force", "c1"});
}

}  // namespace
}  // namespace berth
