// The operations of the crash tests: one for each call of CRI that changes something, and the exit of a container.
#include <signal.h>

#include "absl/strings/str_cat.h"
#include "tools/integration/crash_test.h"
#include "tools/integration/isolation.h"

namespace berth {
namespace {

constexpr char kForEver[] = "while :; do sleep 1; done";
constexpr char kEndsAtOnce[] = "trap 'exit 5' TERM; while :; do sleep 0.05; done";

// A repeated call that says it was done is as good as one that succeeds.
absl::Status UnlessDone(const absl::Status& status, absl::StatusCode done) {
  return status.code() == done ? absl::OkStatus() : status;
}

}  // namespace

void CrashTest::ExpectOneContainer(cri::ContainerState state) {
  const std::string id = ContainerNamed("main");
  ASSERT_NE(id, "");
  EXPECT_EQ(Status(id)->state(), state);
}

CrashedOperation CrashTest::RunPodSandbox() {
  const auto config = [this] {
    cri::PodSandboxConfig pod = PodConfig("run");
    // With a first process of its own, which has a cgroup to join.
    pod.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(cri::POD);
    return pod;
  };
  return {"RunPodSandbox", [] {},
          [this, config] { return UnlessDone(RunPod(config()).status(), absl::StatusCode::kAlreadyExists); },
          [this] {
            if (const std::string id = PodNamed("run"); !id.empty()) {
              EXPECT_EQ(PodStatus(id)->state(), cri::SANDBOX_READY);
            }
          },
          [this] { EXPECT_NE(PodNamed("run"), ""); }};
}

CrashedOperation CrashTest::CreateContainer() {
  return {"CreateContainer",
          [this] {
            pod_config_ = PodConfig("one");
            const auto pod = RunPod(pod_config_);
            ASSERT_OK(pod);
            pod_ = *pod;
          },
          [this] {
            return UnlessDone(Create(pod_, pod_config_, ShellConfig("main", kForEver)).status(),
                              absl::StatusCode::kAlreadyExists);
          },
          [this] {
            if (!ContainerNamed("main").empty()) ExpectOneContainer(cri::CONTAINER_CREATED);
          },
          [this] {
            ExpectOneContainer(cri::CONTAINER_CREATED);
            EXPECT_OK(StartContainer(ContainerNamed("main")));
            EXPECT_OK(Exec(ContainerNamed("main"), {"/bin/true"}));
          }};
}

CrashedOperation CrashTest::StartContainerCall() {
  return {"StartContainer", [this] { MakeOne(kForEver, /*start=*/false); },
          [this] { return UnlessDone(StartContainer(container_), absl::StatusCode::kFailedPrecondition); }, [] {},
          [this] { ExpectOneContainer(cri::CONTAINER_RUNNING); }};
}

CrashedOperation CrashTest::ExecSync() {
  return {"ExecSync", [this] { MakeOne(kForEver); },
          [this] {
            const auto response = Exec(container_, {"/bin/sh", "-c", "echo hello"});
            if (!response.ok()) return response.status();
            return response->stdout() == "hello\n" ? absl::OkStatus() : absl::InternalError(response->DebugString());
          },
          [this] { ExpectOneContainer(cri::CONTAINER_RUNNING); }, [] {}};
}

CrashedOperation CrashTest::StopContainerCall(int64_t grace_seconds) {
  return {absl::StrCat("StopContainer after ", grace_seconds, " s"), [this] { MakeOne(kEndsAtOnce); },
          [this, grace_seconds] { return StopContainer(container_, grace_seconds); }, [] {},
          [this] { ExpectOneContainer(cri::CONTAINER_EXITED); }};
}

CrashedOperation CrashTest::ContainerExit() {
  return {"the exit of a container", [this] { MakeOne(kForEver); },
          [this] {
            if (const int pid = PidOf(container_); pid > 0) kill(pid, SIGKILL);
            return WaitFor(container_, cri::CONTAINER_EXITED).status();
          },
          [this] {
            ASSERT_OK(WaitFor(container_, cri::CONTAINER_EXITED));
            EXPECT_EQ(Status(container_)->exit_code(), 137);
          },
          [] {}};
}

CrashedOperation CrashTest::RemoveContainerCall() {
  return {"RemoveContainer", [this] { MakeOne(kForEver); }, [this] { return RemoveContainer(container_); }, [] {},
          [this] { EXPECT_EQ(ContainerNamed("main"), ""); }};
}

CrashedOperation CrashTest::StopPodSandbox() {
  return {"StopPodSandbox", [this] { MakeOne(kForEver); }, [this] { return StopPod(pod_); }, [] {},
          [this] {
            EXPECT_EQ(PodStatus(pod_)->state(), cri::SANDBOX_NOTREADY);
            ExpectOneContainer(cri::CONTAINER_EXITED);
          }};
}

CrashedOperation CrashTest::RemovePodSandbox() {
  return {"RemovePodSandbox", [this] { MakeOne(kForEver); }, [this] { return RemovePod(pod_); }, [] {},
          [this] {
            EXPECT_EQ(PodNamed("one"), "");
            EXPECT_EQ(ContainerNamed("main"), "");
          }};
}

CrashedOperation CrashTest::PullImage() {
  return {"PullImage", [] {}, [this] { return Pull(kTransientImage).status(); }, [] {},
          [this] { EXPECT_TRUE(ImageIsThere()); }};
}

CrashedOperation CrashTest::RemoveImage() {
  return {"RemoveImage", [this] { ASSERT_OK(Pull(kTransientImage)); },
          [this] {
            cri::RemoveImageRequest request;
            request.mutable_image()->set_image(kTransientImage);
            return client().RemoveImage(request).status();
          },
          [] {}, [this] { EXPECT_FALSE(ImageIsThere()); }};
}

CrashedOperation CrashTest::UpdateContainerResources() {
  constexpr int64_t kOld = 64 << 20, kNew = 96 << 20;
  const auto expect = [this](const std::vector<int64_t>& any_of) {
    const auto status = Status(container_);
    ASSERT_OK(status);
    const int64_t told = status->resources().linux().memory_limit_in_bytes();
    EXPECT_THAT(any_of, testing::Contains(told));
    // The container's own view is the kernel's.
    const auto seen = Exec(container_, {"/bin/sh", "-c",
                                        "cat /sys/fs/cgroup/memory.max || "
                                        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes"});
    ASSERT_OK(seen);
    EXPECT_EQ(seen->stdout(), absl::StrCat(told, "\n"));
  };
  return {"UpdateContainerResources",
          [this] {
            pod_config_ = PodConfig("one");
            const auto pod = RunPod(pod_config_);
            ASSERT_OK(pod);
            pod_ = *pod;
            cri::ContainerConfig config = ShellConfig("main", kForEver);
            config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(kOld);
            const auto container = Create(pod_, pod_config_, config);
            ASSERT_OK(container);
            container_ = *container;
            ASSERT_OK(StartContainer(container_));
          },
          [this] {
            cri::UpdateContainerResourcesRequest request;
            request.set_container_id(container_);
            request.mutable_linux()->set_memory_limit_in_bytes(kNew);
            request.mutable_linux()->set_oom_score_adj(900);
            return client().UpdateContainerResources(request).status();
          },
          [expect] {
            expect({kOld, kNew});
          },
          [expect] { expect({kNew}); }};
}

CrashedOperation CrashTest::UpdatePodSandboxResources() {
  return {"UpdatePodSandboxResources", [this] { MakeOne(kForEver); },
          [this] {
            cri::UpdatePodSandboxResourcesRequest request;
            request.set_pod_sandbox_id(pod_);
            request.mutable_resources()->set_cpu_shares(300);
            return client().UpdatePodSandboxResources(request).status();
          },
          [] {}, [] {}};
}

CrashedOperation CrashTest::ReopenContainerLog() {
  return {"ReopenContainerLog", [this] { MakeOne(kForEver); },
          [this] {
            cri::ReopenContainerLogRequest request;
            request.set_container_id(container_);
            return client().ReopenContainerLog(request).status();
          },
          [] {}, [] {}};
}

std::vector<CrashedOperation> CrashTest::Operations() {
  return {RunPodSandbox(),
          CreateContainer(),
          StartContainerCall(),
          ExecSync(),
          StopContainerCall(0),
          StopContainerCall(60),
          ContainerExit(),
          RemoveContainerCall(),
          StopPodSandbox(),
          RemovePodSandbox(),
          PullImage(),
          RemoveImage(),
          UpdateContainerResources(),
          UpdatePodSandboxResources(),
          ReopenContainerLog()};
}

}  // namespace berth
