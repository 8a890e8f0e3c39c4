#include "core/oci/resource_update.h"

#include <gtest/gtest.h>

#include "core/oci/json.h"

namespace berth::oci {
namespace {

using runtime::v1::LinuxContainerResources;

TEST(ResourceUpdate, UndoSaysUnlimitedWhereNothingWas) {
  LinuxContainerResources before, after;
  before.set_cpu_shares(512);
  after = before;
  after.set_cpu_shares(100);
  after.set_cpu_quota(5000);
  after.set_cpu_period(10000);
  after.set_memory_limit_in_bytes(4096);
  EXPECT_EQ(UndoResourcesJson(before, after, {})->dump(),
            R"({"cpu":{"quota":-1,"shares":512},"memory":{"limit":-1,"swap":-1}})");
  EXPECT_EQ(UndoResourcesJson(before, after, {.swap = false})->dump(),
            R"({"cpu":{"quota":-1,"shares":512},"memory":{"limit":-1}})");
  EXPECT_EQ(UndoResourcesJson({}, before, {})->dump(), R"({"cpu":{"shares":1024}})");
  EXPECT_EQ(UndoResourcesJson(after, after, {})->dump(),
            R"({"cpu":{"period":10000,"quota":5000,"shares":100},"memory":{"limit":4096,"swap":4096}})");
}

TEST(ResourceUpdate, OfASpecOnlyItsResources) {
  const std::string spec = R"({"linux":{"namespaces":[],"resources":{"cpu":{"shares":2},"devices":[{"allow":false}]}},)"
                           R"("process":{"args":["x"],"oomScoreAdj":7}})";
  EXPECT_EQ(SpecWithResources(spec, {{"memory", {{"limit", 1}}}}, std::nullopt).value_or(""),
            R"({"linux":{"namespaces":[],"resources":{"devices":[{"allow":false}],"memory":{"limit":1}}},)"
            R"("process":{"args":["x"],"oomScoreAdj":7}})");
  EXPECT_EQ(SpecWithResources(R"({"linux":{},"process":{}})", nlohmann::json::object(), -3).value_or(""),
            R"({"linux":{"resources":{}},"process":{"oomScoreAdj":-3}})");
  for (const char* bad : {"", "[]", "{}", R"({"linux":{}})", R"({"linux":[],"process":{}})", R"({"linux":{)"}) {
    EXPECT_FALSE(SpecWithResources(bad, nlohmann::json::object(), std::nullopt).ok()) << bad;
  }
}

TEST(ResourceUpdate, Checks) {
  LinuxContainerResources update;
  EXPECT_TRUE(ChangesNothing(update));
  EXPECT_TRUE(CheckResourceUpdate(update).ok());
  update.set_cpuset_cpus("0-3,8");
  update.set_oom_score_adj(-1000);
  for (const char* size : {"64KB", "2MB", "1GB"}) update.add_hugepage_limits()->set_page_size(size);
  EXPECT_FALSE(ChangesNothing(update));
  EXPECT_TRUE(CheckResourceUpdate(update).ok());
  for (const int64_t score : {-1001, 1001}) {
    LinuxContainerResources bad;
    bad.set_oom_score_adj(score);
    EXPECT_EQ(CheckResourceUpdate(bad).code(), absl::StatusCode::kInvalidArgument) << score;
  }
  LinuxContainerResources huge;
  (*huge.mutable_unified())["memory.high"] = std::string(1 << 20, '1');
  EXPECT_EQ(CheckResourceUpdate(huge).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace berth::oci
