// Repeated and concurrent calls, filters, events.
#include <thread>

#include "tools/integration/daemon_test.h"

namespace berth {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

class LifecycleTest : public DaemonTest {};

TEST_F(LifecycleTest, StopAndRemoveMayBeRepeated) {
  RunOne("sleep 1000");
  for (int i = 0; i < 2; ++i) EXPECT_OK(StopContainer(container_, 0));
  for (int i = 0; i < 2; ++i) EXPECT_OK(RemoveContainer(container_));
  EXPECT_OK(StopContainer(container_, 0));
  for (int i = 0; i < 2; ++i) EXPECT_OK(StopPod(pod_));
  for (int i = 0; i < 2; ++i) EXPECT_OK(RemovePod(pod_));
  EXPECT_OK(StopPod(pod_));
}

TEST_F(LifecycleTest, ARunningContainerMayBeRemoved) {
  RunOne("sleep 1000");
  EXPECT_OK(RemoveContainer(container_));
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(LifecycleTest, AShorterGraceCutsALongerOneShort) {
  RunOne("trap '' TERM; while :; do sleep 1; done");
  std::thread slow([this] { EXPECT_OK(StopContainer(container_, 100)); });
  absl::SleepFor(absl::Milliseconds(300));
  const absl::Time start = absl::Now();
  EXPECT_OK(StopContainer(container_, 1));
  slow.join();
  EXPECT_LT(absl::Now() - start, absl::Seconds(20));
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(LifecycleTest, TheSameRunTwiceAtOnceIsOnePod) {
  const cri::PodSandboxConfig config = PodConfig("twice");
  std::vector<std::string> ids(4);
  std::vector<std::thread> threads;
  for (std::string& id : ids) {
    threads.emplace_back([&, out = &id] {
      const auto pod = RunPod(config);
      // One that came after the first had ended finds the name taken.
      *out = pod.ok() ? *pod : absl::IsAlreadyExists(pod.status()) ? "late" : pod.status().ToString();
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> different(ids.begin(), ids.end());
  different.erase("late");
  ASSERT_EQ(different.size(), 1u) << testing::PrintToString(ids);
  EXPECT_CODE(RunPod(config), kAlreadyExists);
  EXPECT_OK(RemovePod(*different.begin()));
  // The name is free again.
  const auto again = RunPod(config);
  ASSERT_OK(again);
  EXPECT_OK(RemovePod(*again));
}

TEST_F(LifecycleTest, ACallGivenUpIsFinishedOrUndone) {
  const cri::PodSandboxConfig config = PodConfig("hasty");
  cri::RunPodSandboxRequest request;
  *request.mutable_config() = config;
  EXPECT_CODE(client().RunPodSandbox(request, absl::Milliseconds(10)), kDeadlineExceeded);
  // As the kubelet does: the same again.
  const auto pod = client().RunPodSandbox(request);
  std::string id;
  if (pod.ok()) {
    id = pod->pod_sandbox_id();
  } else {
    ASSERT_EQ(pod.status().code(), absl::StatusCode::kAlreadyExists);
    const auto list = client().ListPodSandbox(cri::ListPodSandboxRequest());
    ASSERT_EQ(list->items_size(), 1);
    id = list->items(0).id();
  }
  EXPECT_OK(RemovePod(id));
}

TEST_F(LifecycleTest, PodsDoNotWaitForEachOther) {
  std::vector<std::thread> threads;
  std::atomic<int> done{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      const cri::PodSandboxConfig config = PodConfig("many-" + std::to_string(i));
      const auto pod = RunPod(config);
      if (!pod.ok()) return;
      const auto container = Create(*pod, config, ShellConfig("main", "sleep 1000"));
      if (container.ok() && StartContainer(*container).ok() && RemovePod(*pod).ok()) ++done;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(done, 4);
}

TEST_F(LifecycleTest, ContainersNeedAReadyPod) {
  RunOne("true");
  ASSERT_OK(StopPod(pod_));
  EXPECT_FALSE(Create(pod_, pod_config_, ShellConfig("late", "true")).ok());
  ASSERT_OK(RemovePod(pod_));
}

TEST_F(LifecycleTest, AContainerStartsOnce) {
  RunOne("sleep 1000");
  EXPECT_CODE(StartContainer(container_), kFailedPrecondition);
  ASSERT_OK(RemovePod(pod_));
}

TEST_F(LifecycleTest, Filters) {
  RunOne("sleep 1000");
  const cri::PodSandboxConfig second_config = PodConfig("second");
  const auto second = RunPod(second_config);
  ASSERT_OK(second);
  const auto idle = Create(*second, second_config, ShellConfig("idle", "true"));
  ASSERT_OK(idle);
  const auto pods = [this](auto change) {
    cri::ListPodSandboxRequest request;
    change(request.mutable_filter());
    const auto response = client().ListPodSandbox(request);
    std::vector<std::string> ids;
    if (response.ok()) {
      for (const auto& pod : response->items()) ids.push_back(pod.id());
    }
    return ids;
  };
  const auto containers = [this](auto change) {
    cri::ListContainersRequest request;
    change(request.mutable_filter());
    const auto response = client().ListContainers(request);
    std::vector<std::string> ids;
    if (response.ok()) {
      for (const auto& container : response->containers()) ids.push_back(container.id());
    }
    return ids;
  };
  EXPECT_THAT(pods([](auto*) {}), UnorderedElementsAre(pod_, *second));
  EXPECT_THAT(pods([&](auto* f) { f->set_id(pod_); }), ElementsAre(pod_));
  EXPECT_THAT(pods([&](auto* f) { f->set_id(pod_.substr(0, 12)); }), ElementsAre(pod_));
  EXPECT_THAT(pods([](auto* f) { f->set_id("nothing"); }), ElementsAre());
  EXPECT_THAT(pods([](auto* f) { (*f->mutable_label_selector())["app"] = "second"; }), ElementsAre(*second));
  EXPECT_THAT(pods([](auto* f) { f->mutable_state()->set_state(cri::SANDBOX_NOTREADY); }), ElementsAre());

  EXPECT_THAT(containers([](auto*) {}), UnorderedElementsAre(container_, *idle));
  EXPECT_THAT(containers([&](auto* f) { f->set_pod_sandbox_id(*second); }), ElementsAre(*idle));
  EXPECT_THAT(containers([&](auto* f) { f->set_id(container_.substr(0, 12)); }), ElementsAre(container_));
  EXPECT_THAT(containers([](auto* f) { f->mutable_state()->set_state(cri::CONTAINER_RUNNING); }),
              ElementsAre(container_));
  EXPECT_THAT(containers([](auto* f) { (*f->mutable_label_selector())["part"] = "idle"; }), ElementsAre(*idle));
  EXPECT_THAT(containers([](auto* f) {
                (*f->mutable_label_selector())["part"] = "idle";
                f->mutable_state()->set_state(cri::CONTAINER_RUNNING);
              }),
              ElementsAre());
  ASSERT_OK(RemovePod(pod_));
  ASSERT_OK(RemovePod(*second));
}

TEST_F(LifecycleTest, EventsTellTheStoryInOrder) {
  auto events = client().GetContainerEvents();
  RunOne("sleep 1000");
  ASSERT_OK(StopContainer(container_, 0));
  ASSERT_OK(RemoveContainer(container_));
  ASSERT_OK(StopPod(pod_));
  ASSERT_OK(RemovePod(pod_));
  std::vector<std::string> story;
  int64_t last = 0;
  std::thread watchdog([&] {
    for (int i = 0; i < 300 && story.size() < 8; ++i) absl::SleepFor(absl::Milliseconds(100));
    events->Cancel();
  });
  while (story.size() < 8) {
    const auto event = events->Next();
    if (!event.ok()) break;
    EXPECT_TRUE(event->has_pod_sandbox_status()) << "the kubelet drops events without it";
    EXPECT_GE(event->created_at(), last);
    last = event->created_at();
    const std::string who = event->container_id() == pod_         ? "pod "
                            : event->container_id() == container_ ? "main "
                                                                  : "?";
    story.push_back(who + cri::ContainerEventType_Name(event->container_event_type()));
  }
  watchdog.join();
  EXPECT_THAT(
      story, ElementsAre("pod CONTAINER_CREATED_EVENT", "pod CONTAINER_STARTED_EVENT", "main CONTAINER_CREATED_EVENT",
                         "main CONTAINER_STARTED_EVENT", "main CONTAINER_STOPPED_EVENT", "main CONTAINER_DELETED_EVENT",
                         "pod CONTAINER_STOPPED_EVENT", "pod CONTAINER_DELETED_EVENT"));
}

}  // namespace
}  // namespace berth
