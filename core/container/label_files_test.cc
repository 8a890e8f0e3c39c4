#include "core/container/label_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>

#include "core/base/file.h"
#include "core/container/relabel.h"

namespace berth {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kLabel[] = "system_u:object_r:container_file_t:s0:c1,c2";

class LabelFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (access("/sys/fs/selinux/enforce", F_OK) == 0) GTEST_SKIP() << "the policy of this machine has a say in labels";
    char path[] = "/tmp/berth-label-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    directory_ = path;
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(directory_).ok()); }

  std::string File(const std::string& name) {
    const std::string path = directory_ + "/" + name;
    EXPECT_TRUE(MakeDirs(path.substr(0, path.rfind('/'))).ok());
    EXPECT_TRUE(WriteFileAtomic(path, "x", 0600, Durability::kVolatile).ok());
    return path;
  }
  static bool IsLabelled(const std::string& path) {
    return lgetxattr(path.c_str(), kSelinuxAttribute, nullptr, 0) == sizeof(kLabel) - 1;
  }

  std::string directory_;
};

TEST_F(LabelFilesTest, ARootfsIsMountedWithTheLabel) {
  const std::string file = File("bound/file");
  std::vector<RootfsMount> mounts = {{"overlay", "overlay", "", {"lowerdir=1"}},
                                     {"bind", directory_ + "/bound", "", {"bind"}}};
  ASSERT_EQ(LabelRootfs("", &mounts), absl::OkStatus());
  EXPECT_THAT(mounts[0].options, ElementsAre("lowerdir=1"));
  EXPECT_FALSE(IsLabelled(file));
  ASSERT_EQ(LabelRootfs(kLabel, &mounts), absl::OkStatus());
  EXPECT_THAT(mounts[0].options, ElementsAre("lowerdir=1", "context=\"system_u:object_r:container_file_t:s0:c1,c2\""));
  EXPECT_THAT(mounts[1].options, ElementsAre("bind"));
  EXPECT_TRUE(IsLabelled(file));
}

TEST_F(LabelFilesTest, FilesOfThePod) {
  const PodPaths paths(directory_, "p");
  for (const char* name : {"hostname", "hosts", "resolv.conf", "shm/x", "other"}) File(std::string("pods/p/") + name);
  runtime::v1::PodSandboxConfig pod;
  auto* options = pod.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  options->set_ipc(runtime::v1::NamespaceMode::NODE);
  ASSERT_EQ(LabelPodFiles("", paths, pod), absl::OkStatus());
  EXPECT_FALSE(IsLabelled(paths.hosts));
  ASSERT_EQ(LabelPodFiles(kLabel, paths, pod), absl::OkStatus());
  for (const std::string& file : {paths.hostname, paths.hosts, paths.resolv_conf}) EXPECT_TRUE(IsLabelled(file));
  EXPECT_FALSE(IsLabelled(paths.shm)) << "it is the node's";
  options->set_ipc(runtime::v1::NamespaceMode::POD);
  ASSERT_EQ(LabelPodFiles(kLabel, paths, pod), absl::OkStatus());
  EXPECT_TRUE(IsLabelled(paths.shm + "/x"));
  EXPECT_FALSE(IsLabelled(paths.directory + "/other"));
}

TEST_F(LabelFilesTest, VolumesThatAskForIt) {
  const std::string yes = File("yes/file"), no = File("no/file");
  runtime::v1::ContainerConfig config;
  runtime::v1::Mount* mount = config.add_mounts();
  mount->set_host_path(directory_ + "/no");
  mount = config.add_mounts();
  mount->set_host_path(directory_ + "/yes");
  mount->set_container_path("/data");
  mount->set_selinux_relabel(true);
  ASSERT_EQ(LabelVolumes("", config), absl::OkStatus());
  EXPECT_FALSE(IsLabelled(yes));
  ASSERT_EQ(LabelVolumes(kLabel, config), absl::OkStatus());
  EXPECT_TRUE(IsLabelled(yes));
  EXPECT_FALSE(IsLabelled(no));
  mount->set_host_path("/etc");
  const absl::Status refused = LabelVolumes(kLabel, config);
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("mount at /data: relabel /etc"));
}

}  // namespace
}  // namespace berth
