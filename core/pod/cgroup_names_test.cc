#include "core/pod/cgroup_names.h"

#include <gtest/gtest.h>

namespace berth {
namespace {

constexpr CgroupDriver kFs = CgroupDriver::kCgroupfs, kSystemd = CgroupDriver::kSystemd;

TEST(CgroupNames, OfPodsWithCgroupfs) {
  EXPECT_EQ(PodCgroup(kFs, "", "/berth").value_or(""), "/berth");
  EXPECT_EQ(PodCgroup(kFs, "kubepods/x", "/berth").value_or(""), "/kubepods/x");
  EXPECT_EQ(PodCgroup(kFs, "/kubepods/burstable/pod1-2", "/berth").value_or(""), "/kubepods/burstable/pod1-2");
  EXPECT_EQ(PodCgroup(kFs, "/a/../b", "/berth").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(PodCgroup(kFs, "/kubepods.slice/kubepods-pod1.slice", "/berth").status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(CgroupNames, OfPodsWithSystemd) {
  const std::pair<const char*, const char*> table[] = {
      {"", "/berth.slice"},
      {"/", ""},
      {"-.slice", ""},
      {"kubepods-burstable-pod1.slice", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice"},
      {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice",
       "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice"},
      {"/kubepods/burstable/pod1-2", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice"},
      {"/k8s.io/x/", "/k8s.io.slice/k8s.io-x.slice"}};
  for (const auto& [parent, path] : table) {
    const auto found = PodCgroup(kSystemd, parent, "/berth");
    ASSERT_TRUE(found.ok()) << parent << ": " << found.status();
    EXPECT_EQ(*found, path) << parent;
  }
  for (const char* bad : {".slice", "a--b.slice", "-a.slice", "a-.slice", "a b.slice", "/a/b%c", "a\n.slice", "../x"}) {
    EXPECT_EQ(PodCgroup(kSystemd, bad, "/berth").status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_FALSE(PodCgroup(kSystemd, std::string(300, 'a') + ".slice", "/berth").ok());
}

TEST(CgroupNames, OfContainers) {
  EXPECT_EQ(ContainerCgroup(kFs, "/kubepods/x", "id"), "/kubepods/x/id");
  EXPECT_EQ(CgroupsPath(kFs, "/kubepods/x", "id").value_or(""), "/kubepods/x/id");
  EXPECT_EQ(ContainerCgroup(kSystemd, "/a.slice/a-b.slice", "id"), "/a.slice/a-b.slice/berth-id.scope");
  EXPECT_EQ(CgroupsPath(kSystemd, "/a.slice/a-b.slice", "id").value_or(""), "a-b.slice:berth:id");
  EXPECT_EQ(ContainerCgroup(kSystemd, "", "id"), "/berth-id.scope");
  EXPECT_EQ(CgroupsPath(kSystemd, "", "id").value_or(""), "-.slice:berth:id");
  EXPECT_EQ(CgroupsPath(kSystemd, "/berth", "id").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(CgroupsPath(kFs, "/a.slice", "id").status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(CgroupNamesTest, TheIdIsFoundInTheNamesOfBothDrivers) {
  const std::string id(64, 'a');
  EXPECT_EQ(IdInCgroupName("/kubepods/pod1/" + id), id);
  EXPECT_EQ(IdInCgroupName("/kubepods.slice/berth-" + id + ".scope"), id);
  for (const std::string& other : {std::string("/kubepods/pod1"), "/kubepods/" + id + "/inner"})
    EXPECT_EQ(IdInCgroupName(other), "");
  EXPECT_EQ(IdInCgroupName("/cri-containerd-" + id + ".scope"), "");
  EXPECT_EQ(IdInCgroupName("/" + id + ".scope"), "");
  EXPECT_EQ(IdInCgroupName("/berth-" + id), "");
}

}  // namespace
}  // namespace berth
