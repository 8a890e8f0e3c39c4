// ContainerStats and ListContainerStats of the real daemon, for what real processes use.
#include <map>

#include "absl/time/clock.h"
#include "core/base/clock.h"
#include "tools/integration/daemon_test.h"

namespace berth {
namespace {

constexpr uint64_t kMiB = 1 << 20;

class StatsTest : public DaemonTest {
 protected:
  void SetUp() override {
    DaemonTest::SetUp();
    if (HasFatalFailure()) return;
    pod_config_ = PodConfig("one");
    const auto pod = RunPod(pod_config_);
    ASSERT_OK(pod);
    pod_ = *pod;
  }
  void TearDown() override {
    EXPECT_OK(RemovePod(pod_));
    DaemonTest::TearDown();
  }

  std::string CreateOne(const std::string& name, const std::string& script, uint64_t memory_limit = 0) {
    cri::ContainerConfig config = ShellConfig(name, script);
    (*config.mutable_labels())["name"] = name;
    (*config.mutable_annotations())["kept"] = "as it is";
    config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(static_cast<int64_t>(memory_limit));
    const auto container = Create(pod_, pod_config_, config);
    EXPECT_OK(container);
    return container.value_or("");
  }
  absl::StatusOr<cri::ContainerStats> Stats(const std::string& id) {
    cri::ContainerStatsRequest request;
    request.set_container_id(id);
    auto response = client().ContainerStats(request);
    if (!response.ok()) return response.status();
    return response->stats();
  }
  // By the names of the containers.
  std::map<std::string, cri::ContainerStats> List(const cri::ContainerStatsFilter& filter = {}) {
    cri::ListContainerStatsRequest request;
    *request.mutable_filter() = filter;
    const auto response = client().ListContainerStats(request);
    EXPECT_OK(response);
    std::map<std::string, cri::ContainerStats> list;
    if (!response.ok()) return list;
    for (const cri::ContainerStats& stats : response->stats()) list[stats.attributes().metadata().name()] = stats;
    return list;
  }
  // Once the container's shell has made the file.
  void WaitForFile(const std::string& id, const std::string& file) {
    for (int i = 0; i < 600; ++i) {
      cri::ExecSyncRequest request;
      request.set_container_id(id);
      for (const char* word : {"/bin/sh", "-c"}) request.add_cmd(word);
      request.add_cmd("test -e " + file);
      const auto done = client().ExecSync(request);
      ASSERT_OK(done);
      if (done->exit_code() == 0) return;
      absl::SleepFor(absl::Milliseconds(100));
    }
    FAIL() << file << " was not made";
  }

  cri::PodSandboxConfig pod_config_;
  std::string pod_;
};

TEST_F(StatsTest, WhatARunningContainerUses) {
  // 16 MB in a tmpfs count as its memory; 8 MB are in its writable layer.
  const std::string id = CreateOne("main",
                                   "dd if=/dev/zero of=/dev/shm/memory bs=1M count=16 && "
                                   "dd if=/dev/zero of=/disk bs=1M count=8 && touch /ready; "
                                   "while true; do :; done",
                                   128 * kMiB);
  ASSERT_OK(StartContainer(id));
  WaitForFile(id, "/ready");
  const auto first = Stats(id.substr(0, 20));
  ASSERT_OK(first);
  EXPECT_EQ(first->attributes().id(), id);
  EXPECT_EQ(first->attributes().metadata().name(), "main");
  EXPECT_EQ(first->attributes().labels().at("name"), "main");
  EXPECT_EQ(first->attributes().annotations().at("kept"), "as it is");
  EXPECT_LT(std::abs(UnixNanos() - first->cpu().timestamp()), 120'000'000'000);
  EXPECT_GT(first->cpu().usage_core_nano_seconds().value(), 0u);
  EXPECT_GE(first->memory().usage_bytes().value(), 16 * kMiB);
  EXPECT_GE(first->memory().working_set_bytes().value(), 16 * kMiB);
  EXPECT_LE(first->memory().available_bytes().value(), 112 * kMiB);
  EXPECT_GT(first->memory().available_bytes().value(), 0u);
  EXPECT_GT(first->memory().page_faults().value(), 0u);
  EXPECT_GE(first->writable_layer().used_bytes().value(), 8 * kMiB);
  EXPECT_GE(first->writable_layer().inodes_used().value(), 2u);
  EXPECT_FALSE(first->writable_layer().fs_id().mountpoint().empty());

  absl::SleepFor(absl::Milliseconds(500));
  const auto second = Stats(id);
  ASSERT_OK(second);
  EXPECT_GT(second->cpu().usage_core_nano_seconds().value(), first->cpu().usage_core_nano_seconds().value());
  EXPECT_TRUE(second->cpu().has_usage_nano_cores());
  EXPECT_GT(second->cpu().usage_nano_cores().value(), 0u) << "it computes all the time";
}

TEST_F(StatsTest, TheListHasWhatIsAliveAndMatches) {
  const std::string created = CreateOne("created", "true");
  const std::string running = CreateOne("running", "sleep 1000");
  const std::string ended = CreateOne("ended", "true");
  ASSERT_OK(StartContainer(running));
  ASSERT_OK(StartContainer(ended));
  ASSERT_OK(WaitFor(ended, cri::CONTAINER_EXITED));

  auto list = List();
  EXPECT_EQ(list.size(), 2u);
  EXPECT_EQ(list["running"].attributes().id(), running);
  EXPECT_TRUE(list["running"].has_cpu() && list["running"].has_memory() && list["running"].has_writable_layer());
  EXPECT_EQ(list["created"].attributes().id(), created);

  cri::ContainerStatsFilter filter;
  filter.set_id(running);
  EXPECT_EQ(List(filter).count("running"), 1u);
  EXPECT_EQ(List(filter).size(), 1u);
  filter.Clear();
  (*filter.mutable_label_selector())["name"] = "created";
  EXPECT_EQ(List(filter).count("created"), 1u);
  EXPECT_EQ(List(filter).size(), 1u);
  filter.set_pod_sandbox_id("f00");
  EXPECT_TRUE(List(filter).empty());
  filter.set_pod_sandbox_id(pod_);
  EXPECT_EQ(List(filter).size(), 1u);

  // One that has ended still has what it wrote, and no processes that use anything.
  const auto stats = Stats(ended);
  ASSERT_OK(stats);
  EXPECT_FALSE(stats->has_cpu());
  EXPECT_TRUE(stats->has_writable_layer());
}

TEST_F(StatsTest, AnUnknownContainerIsNotFound) { EXPECT_CODE(Stats("0123456789abcdef"), kNotFound); }

}  // namespace
}  // namespace berth
