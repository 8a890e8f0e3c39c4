// What a daemon finds that another left in the middle of things, and what the next finds when it dies over it.
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/file.h"
#include "core/base/id.h"
#include "core/pod/cgroup.h"
#include "tools/integration/crash_test.h"
#include "tools/integration/isolation.h"

namespace berth {
namespace {

constexpr char kForEver[] = "while :; do sleep 1; done";

class CrashRecoveryTest : public CrashTest {
 protected:
  // Makes calls that do not come to their end: each stops at a point of its own. Then the daemon is killed, and
  // whatever was in flight waits for the next one.
  void MakeWreck() {
    std::vector<std::string> pods;
    for (const char* name : {"update", "remove", "create", "removed"}) {
      const cri::PodSandboxConfig config = PodConfig(name);
      const auto pod = RunPod(config);
      ASSERT_OK(pod);
      pods.push_back(*pod);
      if (std::string(name) == "create") continue;
      const auto container = Create(*pod, config, ShellConfig(name, kForEver));
      ASSERT_OK(container);
      ASSERT_OK(StartContainer(*container));
    }
    ASSERT_OK(points_->StartTrace());
    const std::vector<std::string> stops = {"container.update.commit", "container.unmake.snapshot",
                                            "container.create.commit", "pod.pins.release",
                                            "pod.network.connected",   "image.pull.committed"};
    std::string terms;
    for (const std::string& stop : stops) absl::StrAppend(&terms, stop, "=sleep(600000);");
    ASSERT_OK(points_->Set(terms));
    const std::string update = ContainerNamed("update"), remove = ContainerNamed("remove");
    std::vector<std::thread> calls;
    const auto call = [&](const std::function<void(CriClient&)>& make) {
      calls.emplace_back([this, make] {
        CriClient client(place_->socket());
        make(client);
      });
    };
    call([&](CriClient& c) {
      cri::UpdateContainerResourcesRequest request;
      request.set_container_id(update);
      request.mutable_linux()->set_cpu_shares(200);
      EXPECT_FALSE(c.UpdateContainerResources(request).ok());
    });
    call([&](CriClient& c) {
      cri::RemoveContainerRequest request;
      request.set_container_id(remove);
      EXPECT_FALSE(c.RemoveContainer(request).ok());
    });
    call([&](CriClient& c) {
      cri::CreateContainerRequest request;
      request.set_pod_sandbox_id(pods[2]);
      *request.mutable_sandbox_config() = PodConfig("create");
      *request.mutable_config() = ShellConfig("create", kForEver);
      EXPECT_FALSE(c.CreateContainer(request).ok());
    });
    call([&](CriClient& c) {
      cri::RemovePodSandboxRequest request;
      request.set_pod_sandbox_id(pods[3]);
      EXPECT_FALSE(c.RemovePodSandbox(request).ok());
    });
    call([&](CriClient& c) {
      cri::RunPodSandboxRequest request;
      *request.mutable_config() = PodConfig("run");
      EXPECT_FALSE(c.RunPodSandbox(request).ok());
    });
    call([&](CriClient& c) {
      cri::PullImageRequest request;
      request.mutable_image()->set_image(kTransientImage);
      EXPECT_FALSE(c.PullImage(request).ok());
    });
    std::set<std::string> reached;
    for (const absl::Time end = absl::Now() + absl::Minutes(1); reached.size() < stops.size() && absl::Now() < end;) {
      absl::SleepFor(absl::Milliseconds(20));
      for (const FailpointPass& pass : points_->Trace(absl::ZeroDuration())) {
        if (std::find(stops.begin(), stops.end(), pass.point) != stops.end()) reached.insert(pass.point);
      }
    }
    EXPECT_EQ(reached.size(), stops.size());
    KillDaemon();
    for (std::thread& one : calls) one.join();
    PlantStray();
  }

  void PlantStray() {
    const auto ids = IdSource::FromKeyFile(place_->root() + "/id.key");
    ASSERT_OK(ids);
    const std::string id = ids->New();
    ASSERT_OK(MakeDirs(absl::StrCat(place_->state(), "/pods/", id)));
    ASSERT_OK(MakeDirs(absl::StrCat(place_->state(), "/bundles/", id, "/rootfs")));
    ASSERT_OK(CgroupTree::Detect()->Make(absl::StrCat("/", TheWorld().tag, "/pods/", id)));
  }

  void ExpectWreckCleared() {
    ExpectConsistent();
    EXPECT_EQ(PodNamed("run"), "");
    EXPECT_EQ(ContainerNamed("create"), "");
    EXPECT_EQ(ContainerNamed("remove"), "");
    // What takes its time goes on behind the daemon's first answers.
    for (const absl::Time end = absl::Now() + absl::Minutes(1); absl::Now() < end && !PodNamed("removed").empty();) {
      absl::SleepFor(absl::Milliseconds(20));
    }
    EXPECT_EQ(PodNamed("removed"), "");
    EXPECT_EQ(ContainerNamed("removed"), "");
    const std::string update = ContainerNamed("update");
    ASSERT_NE(update, "");
    EXPECT_EQ(Status(update)->state(), cri::CONTAINER_RUNNING);
    EXPECT_OK(Exec(update, {"/bin/true"}));
    EXPECT_OK(RunPod(PodConfig("run")));
    EXPECT_OK(Create(PodNamed("create"), PodConfig("create"), ShellConfig("create", kForEver)));
    EXPECT_OK(Pull(kTransientImage));
  }

  std::atomic<bool> told_{false};
};

TEST_F(CrashRecoveryTest, ADaemonThatDiesWhileItRecoversLeavesNothingToTheThird) {
  ASSERT_NO_FATAL_FAILURE(MakeWreck());
  ASSERT_OK(points_->Set(""));
  ASSERT_OK(points_->StartTrace());
  ASSERT_OK(StartSteered());
  std::vector<std::string> points;  // in the order in which they are first passed
  for (const FailpointPass& pass : points_->Trace()) {
    if (pass.nth == 1) points.push_back(pass.point);
  }
  ExpectWreckCleared();
  ASSERT_NO_FATAL_FAILURE(RemoveAll());
  EXPECT_GT(points.size(), 10u);
  int died = 0, tried = 0;
  for (size_t i = 0; i < points.size(); i += OnTheLabsMachine() ? 8 : 1) {
    SCOPED_TRACE(points[i]);
    ASSERT_NO_FATAL_FAILURE(MakeWreck());
    ASSERT_OK(points_->CrashAt({points[i], 1}));
    ++tried;
    if (!StartsToServe() || DaemonDied()) ++died;
    ASSERT_NO_FATAL_FAILURE(Recover());
    ASSERT_NO_FATAL_FAILURE(ExpectWreckCleared());
    ASSERT_NO_FATAL_FAILURE(RemoveAll());
  }
  std::printf("recovery passes %zu failpoints; died at %d of %d\n", points.size(), died, tried);
  EXPECT_GE(died, tried * 9 / 10);
}

// A creation that could not be undone keeps its row; the name is given to a new container. The next daemon finds both.
TEST_F(CrashRecoveryTest, ALeftoverDoesNotTakeItsSuccessorsPlace) {
  pod_config_ = PodConfig("one");
  const auto pod = RunPod(pod_config_);
  ASSERT_OK(pod);
  ASSERT_OK(points_->Set("container.executor.create=8*return(EIO);container.unmake.executor=return(EIO)"));
  // Ids are random: with eight of them, one sorts before the successor's in all but one of 256 runs.
  for (int i = 0; i < 8; ++i) EXPECT_FALSE(Create(*pod, pod_config_, ShellConfig("main", kForEver)).ok());
  const auto container = Create(*pod, pod_config_, ShellConfig("main", kForEver));
  ASSERT_OK(container);
  ASSERT_OK(StartContainer(*container));
  ASSERT_NO_FATAL_FAILURE(Recover());
  EXPECT_EQ(ContainerNamed("main"), *container);
  EXPECT_EQ(Status(*container)->state(), cri::CONTAINER_RUNNING);
  EXPECT_OK(Exec(*container, {"/bin/true"}));
  EXPECT_OK(RemovePod(*pod));
}

// The client that asked for it has no answer; who follows the events learns it all the same.
TEST_F(CrashRecoveryTest, ARemovalThatTheNextDaemonFinishesIsTold) {
  MakeOne(kForEver);
  ASSERT_OK(points_->CrashAt({"container.unmake.snapshot", 1}));
  EXPECT_FALSE(RemoveContainer(container_).ok());
  ASSERT_TRUE(DaemonDied());
  ASSERT_NO_FATAL_FAILURE(Recover());
  auto events = client().GetContainerEvents();
  std::thread patience([&] {
    for (const absl::Time end = absl::Now() + absl::Minutes(1); !told_ && absl::Now() < end;) {
      absl::SleepFor(absl::Milliseconds(20));
    }
    events->Cancel();
  });
  while (!told_) {
    const auto event = events->Next();
    if (!event.ok()) break;
    told_ = event->container_event_type() == cri::CONTAINER_DELETED_EVENT && event->container_id() == container_;
  }
  EXPECT_TRUE(told_);
  patience.join();
  EXPECT_CODE(Status(container_), kNotFound);
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(CrashRecoveryTest, WhatAnExecOfADeadDaemonRunsIsEnded) {
  MakeOne(kForEver);
  std::thread exec([this] {
    CriClient client(place_->socket());
    cri::ExecSyncRequest request;
    request.set_container_id(container_);
    for (const char* word : {"/bin/sh", "-c", "touch /tmp/runs; sleep 12345"}) request.add_cmd(word);
    EXPECT_FALSE(client.ExecSync(request).ok());
  });
  const auto in_container = [this](const std::string& script) {
    const auto response = Exec(container_, {"/bin/sh", "-c", script});
    return response.ok() && response->exit_code() == 0;
  };
  const auto becomes = [](const std::function<bool()>& condition) {
    for (const absl::Time end = absl::Now() + absl::Minutes(1); absl::Now() < end;) {
      if (condition()) return true;
      absl::SleepFor(absl::Milliseconds(50));
    }
    return false;
  };
  EXPECT_TRUE(becomes([&] { return in_container("test -e /tmp/runs"); }));
  KillDaemon();
  exec.join();
  ASSERT_OK(StartSteered());
  EXPECT_TRUE(becomes([&] { return !in_container("grep -q 1234[5] /proc/[0-9]*/cmdline"); }));
  EXPECT_EQ(Status(container_)->state(), cri::CONTAINER_RUNNING);
  EXPECT_OK(RemovePod(pod_));
}

// The executor goes on when the daemon dies.
class SlowExecutorTest : public CrashRecoveryTest {
 protected:
  SlowExecutorTest() {
    options_.crun = TheWorld().directory + "/slow-crun";
    EXPECT_OK(
        WriteFileAtomic(options_.crun,
                        absl::StrCat("#!/bin/sh\n"
                                     "for word; do case $word in create | start) verb=$word; break ;; esac; done\n"
                                     "while [ -n \"$verb\" ] && [ -e ",
                                     Gate(), "-$verb ]; do echo > ", Gate(), "-$verb.waits; sleep 0.05; done\n",
                                     "exec /usr/bin/crun \"$@\"\n"),
                        0755, Durability::kVolatile));
  }
  static std::string Gate() { return TheWorld().directory + "/gate"; }
  static std::string GateOf(const std::string& verb) { return Gate() + "-" + verb; }

  // From now on the executor's command waits.
  static void Shut(const std::string& verb) {
    ASSERT_OK(RemoveTree(GateOf(verb) + ".waits"));
    ASSERT_OK(WriteFileAtomic(GateOf(verb), "", 0600, Durability::kVolatile));
  }
  static void WaitUntilOneWaits(const std::string& verb) {
    const absl::Time end = absl::Now() + absl::Minutes(1);
    while (!ReadFile(GateOf(verb) + ".waits").ok() && absl::Now() < end) absl::SleepFor(absl::Milliseconds(20));
  }
  static void Open(const std::string& verb) { EXPECT_OK(RemoveTree(GateOf(verb))); }
};

TEST_F(SlowExecutorTest, ACreateThatOutlivesItsDaemonIsUndoneOnceItHasEnded) {
  pod_config_ = PodConfig("one");
  const auto pod = RunPod(pod_config_);
  ASSERT_OK(pod);
  pod_ = *pod;
  Shut("create");
  std::thread create([this] {
    CriClient client(place_->socket());
    cri::CreateContainerRequest request;
    request.set_pod_sandbox_id(pod_);
    *request.mutable_sandbox_config() = pod_config_;
    *request.mutable_config() = ShellConfig("main", kForEver);
    EXPECT_FALSE(client.CreateContainer(request).ok());
  });
  WaitUntilOneWaits("create");
  KillDaemon();
  create.join();
  ASSERT_OK(StartSteered());
  EXPECT_EQ(ContainerNamed("main"), "");
  Open("create");
  // The name is free at once, and what comes of the first is removed in time.
  ASSERT_OK(Create(pod_, pod_config_, ShellConfig("main", kForEver)));
  EXPECT_OK(StartContainer(ContainerNamed("main")));
  const auto bundles = [this] { return ListDir(place_->state() + "/bundles")->size(); };
  for (const absl::Time end = absl::Now() + absl::Minutes(1); bundles() > 1 && absl::Now() < end;) {
    absl::SleepFor(absl::Milliseconds(50));
  }
  EXPECT_EQ(bundles(), 1u);
  EXPECT_EQ(Status(ContainerNamed("main"))->state(), cri::CONTAINER_RUNNING);
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(SlowExecutorTest, AStartThatOutlivesItsDaemonIsNoError) {
  MakeOne(kForEver, /*start=*/false);
  Shut("start");
  std::thread start([this] {
    CriClient client(place_->socket());
    cri::StartContainerRequest request;
    request.set_container_id(container_);
    EXPECT_FALSE(client.StartContainer(request).ok());
  });
  WaitUntilOneWaits("start");
  KillDaemon();
  start.join();
  ASSERT_OK(StartSteered());
  Open("start");
  // It executes the container's program in the place of the executor's own.
  const std::string command_line = absl::StrCat("/proc/", PidOf(container_), "/cmdline");
  for (const absl::Time end = absl::Now() + absl::Minutes(1); absl::Now() < end;) {
    if (absl::StrContains(ReadFile(command_line).value_or(""), kForEver)) break;
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_OK(StartContainer(container_));
  EXPECT_EQ(Status(container_)->state(), cri::CONTAINER_RUNNING);
  EXPECT_OK(Exec(container_, {"/bin/true"}));
  EXPECT_OK(RemovePod(pod_));
}

}  // namespace
}  // namespace berth
