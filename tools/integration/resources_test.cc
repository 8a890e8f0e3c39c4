// UpdateContainerResources and UpdatePodSandboxResources, judged by what the kernel's files say.
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/base/file.h"
#include "tools/integration/cgroup_dirs.h"
#include "tools/integration/daemon_test.h"

namespace berth {
namespace {

using testing::HasSubstr;

constexpr int64_t kMiB = 1 << 20;

class ResourcesTest : public DaemonTest, public testing::WithParamInterface<const char*> {
 protected:
  // A pod of the handler with one container that has limits and is CREATED.
  void CreateOne(const std::string& script = "sleep 1000 & sleep 1000") {
    pod_config_ = PodConfig("one");
    const auto pod = RunPod(pod_config_, GetParam());
    ASSERT_OK(pod);
    pod_ = *pod;
    cri::ContainerConfig config = ShellConfig("main", script);
    auto* resources = config.mutable_linux()->mutable_resources();
    resources->set_cpu_shares(512);
    resources->set_memory_limit_in_bytes(64 * kMiB);
    const auto container = Create(pod_, pod_config_, config);
    ASSERT_OK(container);
    container_ = *container;
  }

  absl::Status Update(const cri::LinuxContainerResources& resources) {
    cri::UpdateContainerResourcesRequest request;
    request.set_container_id(container_);
    *request.mutable_linux() = resources;
    return client().UpdateContainerResources(request).status();
  }

  // The group's own files with a single value, whatever the hierarchy: "memory.max" or "memory.limit_in_bytes".
  std::map<std::string, std::string> Limits() const {
    std::map<std::string, std::string> limits;
    for (const std::string& group : CgroupsWith(container_)) {
      const auto names = ListDir(group);
      if (!names.ok()) continue;
      for (const std::string& name : *names) {
        for (const char* wanted : {"cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us", "memory.limit_in_bytes",
                                   "memory.memsw.limit_in_bytes", "cpuset.cpus", "cpuset.mems", "cpu.weight", "cpu.max",
                                   "memory.max", "memory.swap.max", "memory.high"}) {
          if (name != wanted) continue;
          limits[name] = std::string(absl::StripSuffix(ReadFile(group + "/" + name).value_or("?"), "\n"));
        }
      }
    }
    return limits;
  }
  bool IsVersion2() const { return access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0; }

  void ExpectMemory(int64_t bytes) {
    EXPECT_EQ(Limits()[IsVersion2() ? "memory.max" : "memory.limit_in_bytes"], absl::StrCat(bytes));
  }
  void ExpectQuota(int64_t quota, int64_t period) {
    auto limits = Limits();
    if (IsVersion2()) {
      EXPECT_EQ(limits["cpu.max"], absl::StrCat(quota < 0 ? "max" : absl::StrCat(quota), " ", period));
    } else {
      EXPECT_EQ(limits["cpu.cfs_quota_us"], absl::StrCat(quota));
      EXPECT_EQ(limits["cpu.cfs_period_us"], absl::StrCat(period));
    }
  }
  void ExpectShares(int64_t shares) {
    if (IsVersion2()) {
      EXPECT_EQ(Limits()["cpu.weight"], absl::StrCat(1 + (shares - 2) * 9999 / 262142));
    } else {
      EXPECT_EQ(Limits()["cpu.shares"], absl::StrCat(shares));
    }
  }

  nlohmann::json Spec() const {
    return nlohmann::json::parse(
        ReadFile(place_->state() + "/bundles/" + container_ + "/config.json", 16 << 20).value_or("null"));
  }
  cri::LinuxContainerResources Reported() {
    const auto status = Status(container_);
    EXPECT_OK(status);
    return status.ok() ? status->resources().linux() : cri::LinuxContainerResources();
  }
  // What an update that failed leaves: nothing.
  struct State {
    std::map<std::string, std::string> limits;
    std::string spec, reported;
    bool operator==(const State&) const = default;
  };
  State Now() { return {Limits(), Spec()["linux"]["resources"].dump(), Reported().DebugString()}; }
  static std::string Show(const State& state) {
    return absl::StrCat(testing::PrintToString(state.limits), "\n", state.spec, "\n", state.reported);
  }
  void ExpectSame(const State& before) {
    const State now = Now();
    EXPECT_EQ(Show(now), Show(before));
  }

  // Memory and CPU are changed before the kernel sees that there is no such CPU.
  static cri::LinuxContainerResources HalfBad() {
    cri::LinuxContainerResources resources;
    resources.set_cpu_shares(2048);
    resources.set_cpu_quota(20000);
    resources.set_cpu_period(50000);
    resources.set_memory_limit_in_bytes(256 * kMiB);
    resources.set_cpuset_cpus("4095");
    return resources;
  }
};
INSTANTIATE_TEST_SUITE_P(Executors, ResourcesTest, testing::Values("crun", "runc"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(ResourcesTest, ChangeWhatIsGivenAndNothingElse) {
  CreateOne();
  ExpectMemory(64 * kMiB);
  ExpectShares(512);

  cri::LinuxContainerResources memory;  // CREATED
  memory.set_memory_limit_in_bytes(128 * kMiB);
  ASSERT_OK(Update(memory));
  ExpectMemory(128 * kMiB);
  ExpectShares(512);
  EXPECT_EQ(Reported().memory_limit_in_bytes(), 128 * kMiB);
  EXPECT_EQ(Reported().cpu_shares(), 512);
  EXPECT_EQ(Spec()["linux"]["resources"]["memory"]["limit"], 128 * kMiB);
  EXPECT_TRUE(Spec()["linux"]["resources"].contains("devices"));

  ASSERT_OK(StartContainer(container_));
  cri::LinuxContainerResources cpu;  // RUNNING
  cpu.set_cpu_quota(25000);
  cpu.set_cpu_period(50000);
  cpu.set_cpu_shares(256);
  ASSERT_OK(Update(cpu));
  ExpectQuota(25000, 50000);
  ExpectShares(256);
  ExpectMemory(128 * kMiB);

  // A quota alone keeps its period; -1 is no limit.
  cpu.Clear();
  cpu.set_cpu_quota(10000);
  ASSERT_OK(Update(cpu));
  ExpectQuota(10000, 50000);
  cpu.set_cpu_quota(-1);
  ASSERT_OK(Update(cpu));
  ExpectQuota(-1, 50000);

  cpu.Clear();
  cpu.set_cpu_shares(300);  // the executor may remember a quota
  ASSERT_OK(Update(cpu));
  ExpectQuota(-1, 50000);
  ExpectShares(300);

  memory.set_memory_limit_in_bytes(32 * kMiB);  // less
  ASSERT_OK(Update(memory));
  ExpectMemory(32 * kMiB);
  memory.set_memory_limit_in_bytes(512 * kMiB);  // and more than ever
  ASSERT_OK(Update(memory));
  ExpectMemory(512 * kMiB);

  const State before = Now();
  ASSERT_OK(RestartDaemon());
  ExpectSame(before);
  memory.set_memory_limit_in_bytes(48 * kMiB);
  ASSERT_OK(Update(memory));
  ExpectMemory(48 * kMiB);
  EXPECT_EQ(Reported().cpu_shares(), 300);
  EXPECT_OK(RemovePod(pod_));
}

TEST_P(ResourcesTest, SwapIsCountedWithMemory) {
  CreateOne();
  ASSERT_OK(StartContainer(container_));
  const std::string file = IsVersion2() ? "memory.swap.max" : "memory.memsw.limit_in_bytes";
  if (Limits().count(file) == 0) {
    ASSERT_OK(RemovePod(pod_));
    GTEST_SKIP() << "this kernel does not limit swap";
  }
  const auto expect = [&](int64_t memory, int64_t both) {
    ExpectMemory(memory);
    EXPECT_EQ(Limits()[file], absl::StrCat(IsVersion2() ? both - memory : both));
  };
  expect(64 * kMiB, 64 * kMiB);
  cri::LinuxContainerResources update;
  update.set_memory_swap_limit_in_bytes(96 * kMiB);
  ASSERT_OK(Update(update));
  expect(64 * kMiB, 96 * kMiB);
  update.set_memory_limit_in_bytes(128 * kMiB);
  update.set_memory_swap_limit_in_bytes(256 * kMiB);
  ASSERT_OK(Update(update));
  expect(128 * kMiB, 256 * kMiB);
  update.clear_memory_swap_limit_in_bytes();  // a limit of memory alone allows no swap
  update.set_memory_limit_in_bytes(32 * kMiB);
  ASSERT_OK(Update(update));
  expect(32 * kMiB, 32 * kMiB);
  update.set_memory_swap_limit_in_bytes(16 * kMiB);
  EXPECT_CODE(Update(update), kInvalidArgument);
  expect(32 * kMiB, 32 * kMiB);
  EXPECT_OK(RemovePod(pod_));
}

TEST_P(ResourcesTest, AFailedUpdateChangesNothing) {
  CreateOne();
  for (const bool started : {false, true}) {
    if (started) {
      ASSERT_OK(StartContainer(container_));
    }
    const State before = Now();
    const absl::Status failed = Update(HalfBad());
    EXPECT_FALSE(failed.ok());
    EXPECT_THAT(failed.message(), HasSubstr("update"));
    ExpectSame(before);
  }
  EXPECT_EQ(Status(container_)->state(), cri::CONTAINER_RUNNING);
  cri::LinuxContainerResources good = HalfBad();
  good.clear_cpuset_cpus();
  ASSERT_OK(Update(good));
  ExpectMemory(256 * kMiB);
  ExpectShares(2048);
  ExpectQuota(20000, 50000);
  EXPECT_OK(RemovePod(pod_));
}

TEST_P(ResourcesTest, CpusAreChosenWhereTheControllerIs) {
  CreateOne();
  if (Limits().count("cpuset.cpus") == 0) {
    ASSERT_OK(RemovePod(pod_));
    GTEST_SKIP() << "this kernel has no cpuset controller here";
  }
  cri::LinuxContainerResources update;
  update.set_cpuset_cpus("0");
  update.set_cpuset_mems("0");
  ASSERT_OK(Update(update));
  EXPECT_EQ(Limits()["cpuset.cpus"], "0");
  const State before = Now();
  EXPECT_FALSE(Update(HalfBad()).ok());
  ExpectSame(before);
  EXPECT_OK(RemovePod(pod_));
}

// The daemon ends between two steps: the next one puts back what held.
TEST_P(ResourcesTest, ADaemonThatDiesInAnUpdateLeavesNoHalf) {
  CreateOne();
  ASSERT_OK(StartContainer(container_));
  cri::LinuxContainerResources update = HalfBad();
  update.clear_cpuset_cpus();
  update.set_oom_score_adj(900);
  const State before = Now();
  for (const char* point : {"container.update.executor", "container.update.oom_score", "container.update.spec",
                            "container.update.commit"}) {
    KillDaemon();
    ASSERT_OK(StartDaemon({absl::StrCat("BERTH_FAILPOINTS=", point, "=crash")}));
    EXPECT_FALSE(Update(update).ok()) << point;
    ASSERT_OK(RestartDaemon());
    SCOPED_TRACE(point);
    // What holds is put back behind the daemon's first answers, and before any other change of the pod.
    EXPECT_CODE(StartContainer(container_), kFailedPrecondition);
    ExpectSame(before);
    const auto score = Exec(container_, {"/bin/cat", "/proc/1/oom_score_adj", "/proc/self/oom_score_adj"});
    ASSERT_OK(score);
    EXPECT_EQ(absl::StrContains(score->stdout(), "900"), false) << score->stdout();
  }
  for (const char* point : {"container.update.oom_score", "container.update.spec", "container.update.commit"}) {
    KillDaemon();
    ASSERT_OK(StartDaemon({absl::StrCat("BERTH_FAILPOINTS=", point, "=return(ENOSPC)")}));
    EXPECT_CODE(Update(update), kResourceExhausted);
    SCOPED_TRACE(point);
    ExpectSame(before);
  }
  ASSERT_OK(RestartDaemon());
  ASSERT_OK(Update(update));
  ExpectMemory(256 * kMiB);
  EXPECT_OK(RemovePod(pod_));
}

TEST_P(ResourcesTest, TheOomScoreOfEveryProcessChanges) {
  CreateOne();
  ASSERT_OK(StartContainer(container_));
  cri::LinuxContainerResources update;
  update.set_oom_score_adj(321);
  ASSERT_OK(Update(update));
  EXPECT_EQ(Reported().oom_score_adj(), 321);
  const auto scores =
      Exec(container_, {"/bin/sh", "-c", "for pid in 1 $(pidof sleep); do cat /proc/$pid/oom_score_adj; done"});
  ASSERT_OK(scores);
  EXPECT_THAT(scores->stdout(), testing::StartsWith("321\n321\n"));
  EXPECT_EQ(Spec()["process"]["oomScoreAdj"], 321);
  EXPECT_OK(RemovePod(pod_));
}

TEST_P(ResourcesTest, WhatIsNoUpdate) {
  CreateOne();
  const State before = Now();
  cri::UpdateContainerResourcesRequest request;
  EXPECT_CODE(client().UpdateContainerResources(request), kInvalidArgument);
  request.set_container_id(std::string(64, 'e'));
  EXPECT_CODE(client().UpdateContainerResources(request), kNotFound);
  request.set_container_id(container_);
  EXPECT_OK(client().UpdateContainerResources(request)) << "linux is not set";
  EXPECT_OK(Update({})) << "nothing in it is set";
  request.mutable_windows();
  EXPECT_CODE(client().UpdateContainerResources(request), kInvalidArgument);

  cri::LinuxContainerResources bad;
  bad.set_oom_score_adj(1001);
  EXPECT_CODE(Update(bad), kInvalidArgument);
  bad.Clear();
  bad.set_memory_limit_in_bytes(-5);
  EXPECT_CODE(Update(bad), kInvalidArgument);
  bad.Clear();
  bad.set_cpuset_cpus("0\n1");
  EXPECT_CODE(Update(bad), kInvalidArgument);
  bad.Clear();
  bad.add_hugepage_limits()->set_page_size("../../memory.max");
  EXPECT_CODE(Update(bad), kInvalidArgument);
  bad.Clear();
  (*bad.mutable_unified())["../memory.max"] = "1";
  EXPECT_CODE(Update(bad), kInvalidArgument);
  bad.Clear();
  bad.set_cpu_quota(1);  // the kernel's least is 1000
  EXPECT_CODE(Update(bad), kInvalidArgument);
  ExpectSame(before);

  ASSERT_OK(StartContainer(container_));
  ASSERT_OK(StopContainer(container_, 0));
  bad.Clear();
  bad.set_cpu_shares(100);
  EXPECT_CODE(Update(bad), kFailedPrecondition);
  EXPECT_OK(RemovePod(pod_));
}

TEST_P(ResourcesTest, UnifiedFilesAreVersion2s) {
  CreateOne();
  cri::LinuxContainerResources update;
  (*update.mutable_unified())["memory.high"] = absl::StrCat(40 * kMiB);
  if (!IsVersion2()) {
    EXPECT_CODE(Update(update), kInvalidArgument);
  } else {
    ASSERT_OK(Update(update));
    EXPECT_EQ(Limits()["memory.high"], absl::StrCat(40 * kMiB));
    const State before = Now();
    (*update.mutable_unified())["memory.high"] = absl::StrCat(20 * kMiB);
    (*update.mutable_unified())["memory.no_such_file"] = "1";
    EXPECT_FALSE(Update(update).ok());
    ExpectSame(before);
  }
  EXPECT_OK(RemovePod(pod_));
}

TEST_P(ResourcesTest, SumsOfAPodAreRecorded) {
  CreateOne();
  cri::UpdatePodSandboxResourcesRequest request;
  EXPECT_CODE(client().UpdatePodSandboxResources(request), kInvalidArgument);
  request.set_pod_sandbox_id(std::string(64, 'e'));
  EXPECT_CODE(client().UpdatePodSandboxResources(request), kNotFound);
  request.set_pod_sandbox_id(pod_);
  request.mutable_resources()->set_cpu_shares(777);
  ASSERT_OK(client().UpdatePodSandboxResources(request));
  ASSERT_OK(RestartDaemon());
  cri::PodSandboxStatusRequest status;
  status.set_pod_sandbox_id(pod_);
  status.set_verbose(true);
  EXPECT_THAT(client().PodSandboxStatus(status)->info().at("info"), HasSubstr("777"));
  ASSERT_OK(StopPod(pod_));
  EXPECT_CODE(client().UpdatePodSandboxResources(request), kFailedPrecondition);
  EXPECT_OK(RemovePod(pod_));
}

}  // namespace
}  // namespace berth
