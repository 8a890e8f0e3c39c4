// What an older Berth left on the node, under this daemon: its supervisors, its database. And a newer one's database.
//
// testdata/compat says what the frozen files are and how they were made.
#include <gmock/gmock.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/file.h"
#include "tools/integration/daemon_test.h"
#include "tools/integration/isolation.h"

namespace berth {
namespace {

std::string Frozen(const std::string& name) { return TheWorld().runfiles + "/testdata/compat/" + name; }

class CompatTest : public DaemonTest {
 protected:
  // A supervisor that has been started already would not be the frozen one.
  CompatTest() { options_.spare_supervisor = false; }

  std::string Database() const { return place_->root() + "/meta.db"; }

  // The program that supervisors are started from: replaced behind the daemon's back, which looks at it only when it
  // starts.
  absl::StatusOr<std::string> InstalledSupervisor() const {
    auto names = ListDir(place_->root() + "/libexec");
    if (!names.ok()) return names.status();
    if (names->size() != 1) return absl::InternalError("more than one program in libexec");
    return absl::StrCat(place_->root(), "/libexec/", names->front());
  }
  absl::Status Copy(const std::string& from, const std::string& to, mode_t mode) const {
    auto bytes = ReadFile(from, 64 << 20);
    if (!bytes.ok()) return bytes.status();
    return WriteFileAtomic(to, *bytes, mode, Durability::kVolatile);
  }
  absl::Status TerminateDaemon() {
    client_.reset();
    return daemon_.Terminate(absl::Seconds(30)).status();
  }
};

// The frozen program speaks what today's supervisors spoke when it was made; the daemon that starts it is this one, so
// a translator stands between them for the launch alone, which has no version.
TEST_F(CompatTest, APodOfAnOlderSupervisorIsReattachedAndWorks) {
  const auto installed = InstalledSupervisor();
  ASSERT_OK(installed);
  ASSERT_OK(Copy(TheWorld().runfiles + "/tools/integration/launch_v1", *installed, 0755));
  ASSERT_OK(Copy(Frozen("supervisor-v1"), place_->root() + "/libexec/frozen", 0755));
  RunOne("trap 'exit 5' TERM; i=0; while true; do echo line $i; i=$((i+1)); sleep 0.1; done");
  ASSERT_OK(Exec(container_, {"/bin/true"}));

  ASSERT_OK(RestartDaemon());
  EXPECT_EQ(Status(container_)->state(), cri::CONTAINER_RUNNING);
  EXPECT_EQ(PodStatus(pod_)->state(), cri::SANDBOX_READY);
  const auto hostname = Exec(container_, {"/bin/hostname"});
  ASSERT_OK(hostname);
  EXPECT_EQ(hostname->stdout(), "one\n");
  EXPECT_EQ(Exec(container_, {"/bin/sh", "-c", "exit 9"})->exit_code(), 9);
  cri::ReopenContainerLogRequest reopen;
  reopen.set_container_id(container_);
  EXPECT_OK(client().ReopenContainerLog(reopen));
  // A second container in the old pod, and a new pod beside it.
  const auto second = Create(pod_, pod_config_, ShellConfig("second", "exit 3"));
  ASSERT_OK(second);
  ASSERT_OK(StartContainer(*second));
  EXPECT_EQ(WaitFor(*second, cri::CONTAINER_EXITED)->exit_code(), 3);
  const cri::PodSandboxConfig beside = PodConfig("beside");
  const auto new_pod = RunPod(beside);
  ASSERT_OK(new_pod);

  EXPECT_OK(StopContainer(container_, 20));
  EXPECT_EQ(Status(container_)->exit_code(), 5);
  EXPECT_OK(RemovePod(pod_));
  EXPECT_OK(RemovePod(*new_pod));
  unlink((place_->root() + "/libexec/frozen").c_str());
}

// The frozen database is of another boot and names pods, containers and an image.
TEST_F(CompatTest, AnOlderDatabaseIsRead) {
  ASSERT_OK(TerminateDaemon());
  ASSERT_OK(Copy(Frozen("meta-v1.db"), Database(), 0600));
  ASSERT_OK(StartDaemon());

  const auto listed = client().ListPodSandbox(cri::ListPodSandboxRequest());
  ASSERT_OK(listed);
  std::map<std::string, cri::PodSandboxState> pods;
  for (const auto& pod : listed->items()) {
    pods[pod.metadata().name()] = pod.state();
  }
  EXPECT_EQ(pods, (std::map<std::string, cri::PodSandboxState>{{"running", cri::SANDBOX_NOTREADY},
                                                               {"stopped", cri::SANDBOX_NOTREADY}}));
  const auto containers = client().ListContainers(cri::ListContainersRequest());
  ASSERT_OK(containers);
  std::map<std::string, int> exit_codes;
  for (const auto& container : containers->containers()) {
    EXPECT_EQ(container.state(), cri::CONTAINER_EXITED) << container.DebugString();
    const auto status = Status(container.id());
    ASSERT_OK(status);
    exit_codes[container.metadata().name()] = status->exit_code();
  }
  // What ran when the machine went down, and what had ended before.
  EXPECT_EQ(exit_codes, (std::map<std::string, int>{{"main", 255}, {"created", 255}, {"ended", 3}}));
  const auto images = client().ListImages(cri::ListImagesRequest());
  ASSERT_EQ(images->images_size(), 1);
  EXPECT_EQ(images->images(0).repo_tags(0), kTestImage);

  RunOne("exit 6");  // with the old image's layer
  const auto ended = WaitFor(container_, cri::CONTAINER_EXITED);
  ASSERT_OK(ended);
  EXPECT_EQ(ended->exit_code(), 6);
  EXPECT_OK(RemovePod(pod_));
  for (const auto& pod : listed->items()) EXPECT_OK(RemovePod(pod.id()));
}

// What meta-vN.db is made of. With BERTH_KEEP_DATABASE it is copied there.
TEST_F(CompatTest, ADaemonThatEndedLeavesItsDatabaseInOneFile) {
  const cri::PodSandboxConfig stopped = PodConfig("stopped");
  const auto stopped_pod = RunPod(stopped);
  ASSERT_OK(stopped_pod);
  const auto ended = Create(*stopped_pod, stopped, ShellConfig("ended", "exit 3"));
  ASSERT_OK(ended);
  ASSERT_OK(StartContainer(*ended));
  ASSERT_OK(WaitFor(*ended, cri::CONTAINER_EXITED));
  ASSERT_OK(StopPod(*stopped_pod));
  const cri::PodSandboxConfig running = PodConfig("running");
  const auto running_pod = RunPod(running);
  ASSERT_OK(running_pod);
  const auto main = Create(*running_pod, running, ShellConfig("main", "sleep 1000"));
  ASSERT_OK(main);
  ASSERT_OK(StartContainer(*main));
  ASSERT_OK(Create(*running_pod, running, ShellConfig("created", "sleep 1000")));

  ASSERT_OK(TerminateDaemon());
  EXPECT_NE(access((Database() + "-wal").c_str(), F_OK), 0) << "a write-ahead log is left";
  if (const char* keep = getenv("BERTH_KEEP_DATABASE")) {
    ASSERT_OK(Copy(Database(), keep, 0644));
  }
  ASSERT_OK(StartDaemon());
  EXPECT_EQ(Status(*main)->state(), cri::CONTAINER_RUNNING);
  EXPECT_OK(RemovePod(*running_pod));
  EXPECT_OK(RemovePod(*stopped_pod));
}

TEST_F(CompatTest, ANewerDatabaseIsRefusedAndLeftAlone) {
  ASSERT_OK(TerminateDaemon());
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(Database().c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "PRAGMA user_version=99", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  const auto before = ReadFile(Database(), 64 << 20);
  ASSERT_OK(before);

  auto refused = DaemonProcess::Start(BuiltDaemon(TheWorld().runfiles), place_->config(), place_->daemon_log());
  ASSERT_OK(refused);
  const auto status = refused->WaitForEnd(absl::Seconds(30));
  ASSERT_OK(status);
  EXPECT_TRUE(WIFEXITED(*status) && WEXITSTATUS(*status) != 0) << *status;
  EXPECT_THAT(DaemonLog(), testing::HasSubstr("its schema is version 99"));
  EXPECT_THAT(DaemonLog(), testing::HasSubstr("run the newer berth"));
  EXPECT_EQ(*ReadFile(Database(), 64 << 20), *before);
}

}  // namespace
}  // namespace berth
