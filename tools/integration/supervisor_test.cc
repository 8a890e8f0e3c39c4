// Supervisors that die, stop and hang: their pods end and say so, other pods and the daemon do not notice.
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "core/base/file.h"
#include "core/supervisor/client.h"
#include "core/supervisor/wire/messages.h"
#include "tools/integration/daemon_test.h"

namespace berth {
namespace {

std::vector<std::string> WordsOf(pid_t pid) {
  return absl::StrSplit(ReadFile(absl::StrCat("/proc/", pid, "/cmdline")).value_or(""), absl::string_view("\0", 1));
}

std::vector<pid_t> SupervisorsOf(absl::string_view pod) {
  std::vector<pid_t> found;
  for (const std::string& name : ListDir("/proc").value_or(std::vector<std::string>())) {
    int pid = 0;
    if (!absl::SimpleAtoi(name, &pid)) continue;
    if (const auto words = WordsOf(pid); words.size() > 1 && words[1] == pod) found.push_back(pid);
  }
  return found;
}

// 0: there is none.
pid_t SupervisorOf(const std::string& pod) {
  const std::vector<pid_t> found = SupervisorsOf(pod);
  return found.empty() ? 0 : found.front();
}

// How many processes have this word in their command line.
int ProcessesWith(const std::string& word) {
  int count = 0;
  for (const std::string& name : ListDir("/proc").value_or(std::vector<std::string>())) {
    int pid = 0;
    if (!absl::SimpleAtoi(name, &pid)) continue;
    const auto words = WordsOf(pid);
    count += std::count(words.begin(), words.end(), word);
  }
  return count;
}

bool IsGone(pid_t pid) { return kill(pid, 0) != 0; }

template <typename Condition>
bool Eventually(const Condition& condition) {
  for (const absl::Time end = absl::Now() + absl::Seconds(30); absl::Now() < end;
       absl::SleepFor(absl::Milliseconds(20)))
    if (condition()) return true;
  return false;
}

class SupervisorTest : public DaemonTest {
 protected:
  using DaemonTest::DaemonTest;

  // Another pod with a container, for what has to go on meanwhile.
  void RunOther() {
    const cri::PodSandboxConfig config = PodConfig("other");
    const auto pod = RunPod(config);
    ASSERT_OK(pod);
    other_pod_ = *pod;
    const auto container = Create(other_pod_, config, ShellConfig("main", "sleep 1000"));
    ASSERT_OK(container);
    other_ = *container;
    ASSERT_OK(StartContainer(other_));
  }
  void ExpectTheOtherWorks() {
    EXPECT_EQ(Status(other_)->state(), cri::CONTAINER_RUNNING);
    EXPECT_OK(Exec(other_, {"/bin/true"}));
  }
  void ExpectEnded(int exit_code, const std::string& reason) {
    const auto status = WaitFor(container_, cri::CONTAINER_EXITED);
    ASSERT_OK(status);
    EXPECT_EQ(status->exit_code(), exit_code) << status->DebugString();
    EXPECT_EQ(status->reason(), reason) << status->DebugString();
    EXPECT_GT(status->finished_at(), 0);
    EXPECT_TRUE(Eventually([&] { return PodStatus(pod_)->state() == cri::SANDBOX_NOTREADY; }));
    EXPECT_OK(StopPod(pod_));
    EXPECT_OK(RemovePod(pod_));
  }
  std::string ExitRecord() const { return absl::StrCat(place_->state(), "/pods/", pod_, "/exits/", container_); }

  std::string other_pod_, other_;
};

TEST_F(SupervisorTest, OneThatIsKilledEndsItsPodAndNothingElse) {
  RunOther();
  RunOne("sleep 1234 & exec sleep 1234");
  ASSERT_TRUE(Eventually([] { return ProcessesWith("1234") == 2; }));
  auto events = client().GetContainerEvents();
  std::thread exec([&] {
    CriClient own(place_->socket());
    cri::ExecSyncRequest request;
    request.set_container_id(container_);
    for (const char* word : {"/bin/sleep", "5678"}) request.add_cmd(word);
    const auto answer = own.ExecSync(request);
    if (answer.ok()) {
      EXPECT_EQ(answer->exit_code(), 137);
    } else {
      EXPECT_CODE(answer, kUnavailable);  // the executor was not done with it yet
    }
  });
  ASSERT_TRUE(Eventually([] { return ProcessesWith("5678") == 1; }));
  const pid_t supervisor = SupervisorOf(pod_);
  ASSERT_GT(supervisor, 0);
  kill(supervisor, SIGKILL);
  ASSERT_OK(WaitFor(container_, cri::CONTAINER_EXITED));
  EXPECT_EQ(ProcessesWith("1234"), 0) << "reported as ended, and runs";
  exec.join();
  EXPECT_EQ(ProcessesWith("5678"), 0);
  std::vector<std::string> stopped;
  while (stopped.size() < 2) {
    const auto event = events->Next();
    ASSERT_OK(event);
    if (event->container_event_type() == cri::CONTAINER_STOPPED_EVENT) stopped.push_back(event->container_id());
  }
  EXPECT_EQ(stopped, (std::vector<std::string>{container_, pod_}));
  ExpectEnded(137, "Error");
  ExpectTheOtherWorks();
  EXPECT_OK(RemovePod(other_pod_));
}

TEST_F(SupervisorTest, OneThatDiedWithTheDaemonEndsItsPodAtTheNextStart) {
  RunOne("exec sleep 1234");
  ASSERT_TRUE(Eventually([] { return ProcessesWith("1234") == 1; }));
  const pid_t supervisor = SupervisorOf(pod_);
  KillDaemon();
  kill(supervisor, SIGKILL);
  ASSERT_TRUE(Eventually([&] { return IsGone(supervisor); }));
  EXPECT_EQ(ProcessesWith("1234"), 1);
  ASSERT_OK(StartDaemon());
  ExpectEnded(137, "Error");
  EXPECT_EQ(ProcessesWith("1234"), 0);
}

// Such as an executor's delete that takes its time.
TEST_F(SupervisorTest, ACommandOfAnEarlierDaemonIsWaitedForWhenThePodEnds) {
  const auto pod = RunPod(PodConfig("idle"));
  ASSERT_OK(pod);
  auto loop = SupervisorLoop::Start();
  ASSERT_OK(loop);
  const std::string directory = absl::StrCat(place_->state(), "/pods/", *pod);
  auto earlier = Supervisor::Connect(loop->get(), directory, nullptr, Call());
  ASSERT_OK(earlier);
  std::thread command([&] {
    SupervisedCommand sleep;
    sleep.argv = {"/bin/sleep", "2.125"};
    EXPECT_OK((*earlier)->Run(Call(), sleep));
  });
  EXPECT_TRUE(Eventually([] { return ProcessesWith("2.125") == 1; }));
  EXPECT_OK(StopPod(*pod));
  EXPECT_EQ(ProcessesWith("2.125"), 0);
  command.join();
  EXPECT_OK(RemovePod(*pod));
}

TEST_F(SupervisorTest, AnExitRecordedBeforeItDiedIsReportedAsItWas) {
  RunOne("sleep 0.5; exit 7");
  const pid_t supervisor = SupervisorOf(pod_);
  KillDaemon();
  ASSERT_TRUE(Eventually([&] { return access(ExitRecord().c_str(), F_OK) == 0; }));
  const std::vector<std::string> record = absl::StrSplit(ReadFile(ExitRecord()).value_or(""), absl::ByAnyChar(" \n"));
  ASSERT_GE(record.size(), 2u);
  kill(supervisor, SIGKILL);
  ASSERT_TRUE(Eventually([&] { return IsGone(supervisor); }));
  ASSERT_OK(StartDaemon());
  const auto status = WaitFor(container_, cri::CONTAINER_EXITED);
  ASSERT_OK(status);
  EXPECT_EQ(absl::StrCat(status->finished_at()), record[1]);
  ExpectEnded(7, "Error");
}

TEST_F(SupervisorTest, OneThatIsStoppedHoldsNobodyUpAtAStart) {
  RunOther();
  RunOne("sleep 1000");
  const pid_t supervisor = SupervisorOf(pod_);
  KillDaemon();
  kill(supervisor, SIGSTOP);
  ASSERT_OK(StartDaemon());
  ExpectTheOtherWorks();
  // What was last known of it, and no claim beyond.
  EXPECT_EQ(Status(container_)->state(), cri::CONTAINER_RUNNING);
  EXPECT_EQ(PodStatus(pod_)->state(), cri::SANDBOX_READY);
  EXPECT_CODE(Exec(container_, {"/bin/true"}), kUnavailable);
  kill(supervisor, SIGCONT);
  EXPECT_TRUE(Eventually([&] { return Exec(container_, {"/bin/true"}).ok(); }));
  EXPECT_OK(StopContainer(container_, 0));
  EXPECT_OK(RemovePod(pod_));
  EXPECT_OK(RemovePod(other_pod_));
}

// As above; but a call that changes the pod waits for the supervisor instead of failing.
TEST_F(SupervisorTest, AStopWaitsForOneThatHasNotAnsweredYet) {
  RunOne("sleep 1000");
  const pid_t supervisor = SupervisorOf(pod_);
  KillDaemon();
  kill(supervisor, SIGSTOP);
  ASSERT_OK(StartDaemon());
  std::thread stop([&] { EXPECT_OK(RemovePod(pod_)); });
  absl::SleepFor(absl::Milliseconds(300));
  EXPECT_EQ(Status(container_)->state(), cri::CONTAINER_RUNNING);
  kill(supervisor, SIGCONT);
  stop.join();
  EXPECT_CODE(Status(container_), kNotFound);
}

TEST_F(SupervisorTest, WhatHappenedWithoutADaemonIsToldToTheFirstWhoListens) {
  RunOne("sleep 0.5; exit 3");
  KillDaemon();
  ASSERT_TRUE(Eventually([&] { return access(ExitRecord().c_str(), F_OK) == 0; }));
  ASSERT_OK(StartDaemon());
  ASSERT_OK(WaitFor(container_, cri::CONTAINER_EXITED));
  const auto event = client().GetContainerEvents()->Next();
  ASSERT_OK(event);
  EXPECT_EQ(event->container_event_type(), cri::CONTAINER_STOPPED_EVENT);
  EXPECT_EQ(event->container_id(), container_);
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(SupervisorTest, AnOomKillWithoutADaemonIsReportedAsOne) {
  pod_config_ = PodConfig("one");
  const auto pod = RunPod(pod_config_);
  ASSERT_OK(pod);
  pod_ = *pod;
  cri::ContainerConfig config = ShellConfig("main", "sleep 1; exec dd if=/dev/zero of=/dev/null bs=64M count=1");
  config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(16 << 20);
  const auto container = Create(pod_, pod_config_, config);
  ASSERT_OK(container);
  container_ = *container;
  ASSERT_OK(StartContainer(container_));
  KillDaemon();
  ASSERT_TRUE(Eventually([&] { return access(ExitRecord().c_str(), F_OK) == 0; }));
  ASSERT_OK(StartDaemon());
  const auto status = WaitFor(container_, cri::CONTAINER_EXITED);
  ASSERT_OK(status);
  EXPECT_EQ(status->reason(), "OOMKilled");
  EXPECT_EQ(status->exit_code(), 137);
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(SupervisorTest, ItsOomScoreAndCgroupAreTheDaemonsAndNotItsContainers) {
  const auto score_of = [](pid_t pid) {
    int score = -2000;
    const std::string text = ReadFile(absl::StrCat("/proc/", pid, "/oom_score_adj")).value_or("");
    EXPECT_TRUE(absl::SimpleAtoi(text, &score)) << text;
    return score;
  };
  pod_config_ = PodConfig("one");
  const auto pod = RunPod(pod_config_);
  ASSERT_OK(pod);
  pod_ = *pod;
  cri::ContainerConfig config = ShellConfig("main", "exec sleep 1000");
  config.mutable_linux()->mutable_resources()->set_oom_score_adj(500);
  const auto container = Create(pod_, pod_config_, config);
  ASSERT_OK(container);
  container_ = *container;
  ASSERT_OK(StartContainer(container_));
  const pid_t supervisor = SupervisorOf(pod_);
  EXPECT_EQ(score_of(supervisor), score_of(daemon_.pid()) + 1);
  const auto groups = [](pid_t pid) { return ReadFile(absl::StrCat("/proc/", pid, "/cgroup")).value_or("?"); };
  EXPECT_EQ(groups(supervisor), groups(daemon_.pid()));
  const auto scores = Exec(container_, {"/bin/cat", "/proc/1/oom_score_adj", "/proc/self/oom_score_adj"});
  ASSERT_OK(scores);
  EXPECT_EQ(scores->stdout(), "500\n500\n");
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(SupervisorTest, APodTakesTheOneThatWasStartedAhead) {
  const auto spare = [] { return SupervisorsOf({wire::kSpareName.data(), wire::kSpareName.size()}); };
  ASSERT_TRUE(Eventually([&] { return spare().size() == 2; }));
  const std::vector<pid_t> before = spare();
  RunOne("exec sleep 1234");
  EXPECT_EQ(std::count(before.begin(), before.end(), SupervisorOf(pod_)), 1);
  EXPECT_TRUE(Eventually([&] { return spare().size() == 2; })) << "and there is another";
  EXPECT_OK(RemovePod(pod_));
}

class SilentSupervisorTest : public SupervisorTest {
 protected:
  static PlaceOptions Options() {
    PlaceOptions options;
    options.pod_keys = "supervisor_hang_seconds = 4\n";
    return options;
  }
  SilentSupervisorTest() : SupervisorTest(Options()) {}
};

TEST_F(SilentSupervisorTest, OneThatHangsIsEndedWithItsPod) {
  RunOther();
  RunOne("exec sleep 1234");
  const pid_t supervisor = SupervisorOf(pod_);
  kill(supervisor, SIGSTOP);
  ASSERT_OK(WaitFor(container_, cri::CONTAINER_EXITED));
  EXPECT_TRUE(Eventually([&] { return IsGone(supervisor); }));
  EXPECT_EQ(ProcessesWith("1234"), 0);
  ExpectEnded(137, "Error");
  ExpectTheOtherWorks();
  EXPECT_OK(RemovePod(other_pod_));
}

TEST_F(SilentSupervisorTest, OneThatHungBeforeTheDaemonCameIsEndedToo) {
  RunOne("exec sleep 1234");
  const pid_t supervisor = SupervisorOf(pod_);
  KillDaemon();
  kill(supervisor, SIGSTOP);
  ASSERT_OK(StartDaemon());
  ASSERT_OK(WaitFor(container_, cri::CONTAINER_EXITED));
  EXPECT_TRUE(Eventually([&] { return IsGone(supervisor); }));
  EXPECT_EQ(ProcessesWith("1234"), 0);
  ExpectEnded(137, "Error");
}

// A pod at work answers late, but it answers.
TEST_F(SilentSupervisorTest, OneThatIsOnlyStoppedForAMomentLives) {
  RunOne("exec sleep 1234");
  const pid_t supervisor = SupervisorOf(pod_);
  for (int i = 0; i < 8; ++i) {
    kill(supervisor, SIGSTOP);
    absl::SleepFor(absl::Milliseconds(700));
    kill(supervisor, SIGCONT);
    absl::SleepFor(absl::Milliseconds(300));
  }
  EXPECT_EQ(Status(container_)->state(), cri::CONTAINER_RUNNING);
  EXPECT_OK(Exec(container_, {"/bin/true"}));
  EXPECT_FALSE(IsGone(supervisor));
  EXPECT_OK(RemovePod(pod_));
}

}  // namespace
}  // namespace berth
