// The daemon dies at any time and comes back: containers do not notice, and nothing is lost or left.
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tools/integration/daemon_test.h"

namespace berth {
namespace {

class RestartTest : public DaemonTest {};

TEST_F(RestartTest, ARunningContainerGoesOn) {
  RunOne("i=0; while [ $i -lt 50 ]; do echo line $i; i=$((i+1)); sleep 0.1; done");
  const auto before = Status(container_);
  ASSERT_OK(before);
  KillDaemon();
  absl::SleepFor(absl::Seconds(1));
  ASSERT_OK(StartDaemon());
  const auto after = Status(container_);
  ASSERT_OK(after);
  EXPECT_EQ(after->SerializeAsString(), before->SerializeAsString()) << after->DebugString() << before->DebugString();
  EXPECT_EQ(PodStatus(pod_)->state(), cri::SANDBOX_READY);
  EXPECT_OK(Exec(container_, {"/bin/true"}));
  ASSERT_OK(WaitFor(container_, cri::CONTAINER_EXITED));
  const std::vector<LogLine> log = ReadLog(pod_config_, "main");
  ASSERT_EQ(log.size(), 50u);
  for (size_t i = 0; i < log.size(); ++i) EXPECT_EQ(log[i].text, absl::StrCat("line ", i));
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(RestartTest, AnExitWithoutADaemonIsReportedByTheNext) {
  RunOne("sleep 1; exit 7");
  KillDaemon();
  absl::SleepFor(absl::Seconds(2));
  ASSERT_OK(StartDaemon());
  const auto status = WaitFor(container_, cri::CONTAINER_EXITED);
  ASSERT_OK(status);
  EXPECT_EQ(status->exit_code(), 7);
  EXPECT_EQ(status->reason(), "Error");
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(RestartTest, ImagesAndStoppedPodsAreStillKnown) {
  RunOne("true");
  ASSERT_OK(WaitFor(container_, cri::CONTAINER_EXITED));
  ASSERT_OK(StopPod(pod_));
  ASSERT_OK(RestartDaemon());
  EXPECT_EQ(client().ListImages(cri::ListImagesRequest())->images_size(), 1);
  EXPECT_EQ(PodStatus(pod_)->state(), cri::SANDBOX_NOTREADY);
  EXPECT_EQ(Status(container_)->state(), cri::CONTAINER_EXITED);
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(RestartTest, ARemovedContainerThatNeverStartedStaysRemoved) {
  const cri::PodSandboxConfig config = PodConfig("unstarted");
  const auto pod = RunPod(config);
  ASSERT_OK(pod);
  for (int i = 0; i < 5; ++i) {
    const auto container = Create(*pod, config, ShellConfig("main", "true"));
    ASSERT_OK(container);
    ASSERT_OK(RemoveContainer(*container));
  }
  ASSERT_OK(RemovePod(*pod));
  ASSERT_OK(RestartDaemon());
  EXPECT_EQ(client().ListContainers(cri::ListContainersRequest())->containers_size(), 0);
  EXPECT_EQ(DaemonLog().find("is forgotten"), std::string::npos) << DaemonLog();
}

TEST_F(RestartTest, KilledAtAnyTimeDuringALifeNothingIsLeft) {
  for (const int milliseconds : {5, 15, 30, 60, 100, 180, 300}) {
    const cri::PodSandboxConfig config = PodConfig("killed");
    std::thread life([&] {
      CriClient own(place_->socket());
      cri::RunPodSandboxRequest run;
      *run.mutable_config() = config;
      const auto pod = own.RunPodSandbox(run, absl::Seconds(5));
      if (!pod.ok()) return;
      cri::CreateContainerRequest create;
      create.set_pod_sandbox_id(pod->pod_sandbox_id());
      *create.mutable_sandbox_config() = config;
      *create.mutable_config() = ShellConfig("main", "sleep 1000");
      const auto container = own.CreateContainer(create, absl::Seconds(5));
      if (!container.ok()) return;
      cri::StartContainerRequest start;
      start.set_container_id(container->container_id());
      if (!own.StartContainer(start, absl::Seconds(5)).ok()) return;
      cri::RemovePodSandboxRequest remove;
      remove.set_pod_sandbox_id(pod->pod_sandbox_id());
      own.RemovePodSandbox(remove, absl::Seconds(5)).IgnoreError();
    });
    absl::SleepFor(absl::Milliseconds(milliseconds));
    KillDaemon();
    life.join();
    ASSERT_OK(StartDaemon());
    const auto pods = client().ListPodSandbox(cri::ListPodSandboxRequest());
    ASSERT_OK(pods);
    for (const auto& pod : pods->items()) EXPECT_OK(RemovePod(pod.id()));
    SCOPED_TRACE(milliseconds);
    ExpectNothingLeft();
  }
}

}  // namespace
}  // namespace berth
