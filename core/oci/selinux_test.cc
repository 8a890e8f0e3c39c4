#include "core/oci/selinux.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "core/base/file.h"
#include "core/oci/selinux_policy.h"

namespace berth::oci {
namespace {

using runtime::v1::NamespaceMode;
using ::testing::HasSubstr;

const SelinuxContexts kContexts = {{"system_u", "system_r", "container_t", "s0"},
                                   {"system_u", "object_r", "container_file_t", "s0"}};
constexpr char kPodLevel[] = "s0:c7,c9";
constexpr char kFile[] = "system_u:object_r:container_file_t:s0:c7,c9";

TEST(Selinux, OptionsAreChecked) {
  runtime::v1::SELinuxOption options;
  EXPECT_TRUE(CheckSelinuxOptions(options).ok());
  for (const char* good : {"s0", "s0:c1", "s0:c1,c2", "s0-s0:c0.c1023", "s0:c1,c3.c5,c9", "s15"}) {
    options.set_level(good);
    EXPECT_TRUE(CheckSelinuxOptions(options).ok()) << good;
  }
  for (const char* bad : {"x", "c0", "s", "s0\nc1", "s0:c1;rm", "s0:", "s0:c1,", "s0:c1.c2.c3", "s0-s1-s2", "s0:c12345",
                          "s0:s0", "s0 ", "s0:c1\",x=\""}) {
    options.set_level(bad);
    EXPECT_EQ(CheckSelinuxOptions(options).code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  options.clear_level();
  options.set_user("system_u");
  options.set_role("system_r");
  options.set_type("my-type.process_t");
  EXPECT_TRUE(CheckSelinuxOptions(options).ok());
  for (const char* bad : {"a:b", "a b", "a\"", "a,b", "\xff"}) {
    options.set_type(bad);
    EXPECT_THAT(std::string(CheckSelinuxOptions(options).message()), HasSubstr("selinux_options: type")) << bad;
  }
}

class LabelsTest : public ::testing::Test {
 protected:
  SelinuxLabels Labels() { return SelinuxLabelsOf(kContexts, kPodLevel, pod_, container_); }

  runtime::v1::LinuxSandboxSecurityContext pod_;
  runtime::v1::LinuxContainerSecurityContext container_;
};

TEST_F(LabelsTest, ThePoliciesTypesWithThePodsLevel) {
  EXPECT_EQ(Labels().process, "system_u:system_r:container_t:s0:c7,c9");
  EXPECT_EQ(Labels().file, kFile);
}

TEST_F(LabelsTest, OptionsOfTheContainerReplaceThePods) {
  pod_.mutable_selinux_options()->set_type("pod_t");
  pod_.mutable_selinux_options()->set_role("pod_r");
  EXPECT_EQ(Labels().process, "system_u:pod_r:pod_t:s0:c7,c9");
  container_.mutable_selinux_options()->set_type("own_t");
  EXPECT_EQ(Labels().process, "system_u:system_r:own_t:s0:c7,c9");
  EXPECT_EQ(Labels().file, kFile) << "a type is the processes'";
  container_.mutable_selinux_options()->set_user("own_u");
  container_.mutable_selinux_options()->set_level("s0:c1");
  EXPECT_EQ(Labels().process, "own_u:system_r:own_t:s0:c1");
  EXPECT_EQ(Labels().file, "own_u:object_r:container_file_t:s0:c1");
}

TEST_F(LabelsTest, WhatSharesTheNodeRunsAsTheExecutorDoes) {
  container_.set_privileged(true);
  EXPECT_EQ(Labels().process, "");
  EXPECT_EQ(Labels().file, kFile);
  container_.mutable_selinux_options()->set_type("own_t");
  EXPECT_EQ(Labels().process, "");

  container_.Clear();
  container_.mutable_namespace_options()->set_pid(NamespaceMode::NODE);
  EXPECT_EQ(Labels().process, "");
  container_.mutable_selinux_options()->set_type("own_t");
  EXPECT_EQ(Labels().process, "system_u:system_r:own_t:s0:c7,c9");

  container_.Clear();
  pod_.mutable_namespace_options()->set_ipc(NamespaceMode::NODE);
  EXPECT_EQ(Labels().process, "");
  EXPECT_EQ(Labels().file, kFile);
}

TEST(SelinuxLevel, IsOfTheIdAndOfNobodyElse) {
  const std::string id(64, '5'), zero(64, '0');
  const std::string level = *FreeSelinuxLevel(id, {});
  EXPECT_EQ(*FreeSelinuxLevel(id, {}), level);
  runtime::v1::SELinuxOption options;
  options.set_level(level);
  EXPECT_TRUE(CheckSelinuxOptions(options).ok()) << level;
  std::set<std::string> used;
  for (int i = 0; i < 2000; ++i) {
    const std::string next = *FreeSelinuxLevel(zero, used);
    EXPECT_TRUE(used.insert(next).second) << next;
  }
  EXPECT_EQ(used.count("s0:c0,c1"), 1u);
  EXPECT_EQ(used.count("s0:c1,c2"), 1u);
  for (const std::string& one : used) {
    options.set_level(one);
    EXPECT_TRUE(CheckSelinuxOptions(options).ok()) << one;
  }
  // The last pair there is comes before the first.
  uint64_t pairs = 1024 * 1023 / 2;
  char last[65];
  snprintf(last, sizeof(last), "%015lx%049d", static_cast<unsigned long>(pairs - 1), 0);
  EXPECT_EQ(*FreeSelinuxLevel(last, {}), "s0:c1022,c1023");
  EXPECT_EQ(*FreeSelinuxLevel(last, {"s0:c1022,c1023"}), "s0:c0,c1");
}

class PolicyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/berth-selinux-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    directory_ = path;
    places_ = {directory_ + "/fs", directory_ + "/etc", directory_ + "/contexts"};
    Write("fs/enforce", "1");
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(directory_).ok()); }
  void Write(const std::string& name, const std::string& text) {
    const std::string path = directory_ + "/" + name;
    ASSERT_TRUE(MakeDirs(path.substr(0, path.rfind('/'))).ok());
    ASSERT_TRUE(WriteFileAtomic(path, text, 0644, Durability::kVolatile).ok());
  }
  std::string Error() {
    const absl::Status status = ReadSelinuxContexts(places_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    return std::string(status.message());
  }

  std::string directory_;
  SelinuxPlaces places_;
};

TEST_F(PolicyTest, TheContextsOfThePolicy) {
  EXPECT_TRUE(SelinuxIsOn(places_));
  const std::string text =
      "# comment\nprocess = \"system_u:system_r:container_t:s0\"\n\n"
      "file=\"system_u:object_r:container_file_t:s0\"\nro_file = \"system_u:object_r:container_ro_file_t:s0\"\n";
  Write("etc/targeted/contexts/lxc_contexts", text);
  auto contexts = ReadSelinuxContexts(places_);
  ASSERT_TRUE(contexts.ok()) << contexts.status();
  EXPECT_EQ((*contexts)->process.ToString(), "system_u:system_r:container_t:s0");
  EXPECT_EQ((*contexts)->file.ToString(), "system_u:object_r:container_file_t:s0");

  Write("etc/config", "SELINUX=enforcing\n# SELINUXTYPE=mls\nSELINUXTYPE=own\n");
  EXPECT_THAT(Error(), HasSubstr("etc/own/contexts/lxc_contexts: No such file"));
  Write("contexts", "process = \"a:b:c:s0\"\nfile = \"d:e:f:s0:c0.c5\"\n");
  contexts = ReadSelinuxContexts(places_);
  ASSERT_TRUE(contexts.ok()) << contexts.status();
  EXPECT_EQ((*contexts)->file.ToString(), "d:e:f:s0:c0.c5");
}

TEST_F(PolicyTest, APolicyWithoutContainersIsNone) {
  EXPECT_THAT(Error(), HasSubstr("install the policy of containers"));
  Write("contexts", "process = \"a:b:c:s0\"\n");
  EXPECT_THAT(Error(), HasSubstr("contexts: file: \"\" is no context"));
  Write("contexts", "process = \"a:b:c\"\nfile = \"a:b:c:s0\"\n");
  EXPECT_THAT(Error(), HasSubstr("contexts: process: \"a:b:c\" is no context"));
}

TEST_F(PolicyTest, WithoutSelinuxThereAreNone) {
  ASSERT_EQ(unlink((directory_ + "/fs/enforce").c_str()), 0);
  EXPECT_FALSE(SelinuxIsOn(places_));
  const auto contexts = ReadSelinuxContexts(places_);
  ASSERT_TRUE(contexts.ok());
  EXPECT_FALSE(contexts->has_value());
}

}  // namespace
}  // namespace berth::oci
