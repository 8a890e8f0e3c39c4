// Labels on a node that seems to have SELinux: a selinuxfs and a policy's contexts that are plain files. Its kernel
// knows no labels, so that it mounts no rootfs with one; the error says with which it was asked to.
#include <sys/mount.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "tools/integration/daemon_test.h"
#include "tools/integration/isolation.h"

namespace berth {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class SelinuxTest : public DaemonTest {
 protected:
  void SetUp() override {
    if (access("/sys/fs/selinux/enforce", F_OK) == 0) GTEST_SKIP() << "this machine has a policy of its own";
    ASSERT_NO_FATAL_FAILURE(FakeNode());
    options_.pod_keys = "enable_selinux = true\n";
    DaemonTest::SetUp();
  }
  void TearDown() override {
    DaemonTest::TearDown();
    umount2("/usr/share", MNT_DETACH);
    umount2("/sys/fs", MNT_DETACH);
    umount2((node_ + "/cgroup").c_str(), MNT_DETACH);
    EXPECT_OK(RemoveTree(node_));
  }

  // In this program's own mount namespace.
  void FakeNode() {
    const std::string policy = node_ + "/share/containers/selinux";
    for (const std::string& directory : {node_ + "/cgroup", policy}) ASSERT_OK(MakeDirs(directory));
    ASSERT_OK(WriteFileAtomic(policy + "/contexts",
                              "process = \"system_u:system_r:container_t:s0\"\n"
                              "file = \"system_u:object_r:container_file_t:s0\"\n",
                              0644, Durability::kVolatile));
    const std::string layers = absl::StrCat("lowerdir=", node_, "/share:/usr/share");
    ASSERT_EQ(mount("overlay", "/usr/share", "overlay", MS_RDONLY, layers.c_str()), 0);
    ASSERT_EQ(mount("/sys/fs/cgroup", (node_ + "/cgroup").c_str(), nullptr, MS_BIND | MS_REC, nullptr), 0);
    // Or what is unmounted in it afterwards were in the original too.
    ASSERT_EQ(mount(nullptr, (node_ + "/cgroup").c_str(), nullptr, MS_PRIVATE | MS_REC, nullptr), 0);
    ASSERT_EQ(mount("tmpfs", "/sys/fs", "tmpfs", 0, "mode=755"), 0);
    for (const char* directory : {"/sys/fs/cgroup", "/sys/fs/selinux"}) ASSERT_OK(MakeDirs(directory));
    ASSERT_OK(WriteFileAtomic("/sys/fs/selinux/enforce", "1", 0644, Durability::kVolatile));
    ASSERT_EQ(mount((node_ + "/cgroup").c_str(), "/sys/fs/cgroup", nullptr, MS_BIND | MS_REC, nullptr), 0);
  }

  // The label that the rootfs of a container was to be mounted with.
  std::string LabelOf(const std::string& pod, const cri::PodSandboxConfig& pod_config, cri::ContainerConfig config) {
    const auto container = Create(pod, pod_config, config);
    EXPECT_CODE(container, kInvalidArgument);
    const std::string error(container.status().message()), begin = "context=\"";
    const size_t at = error.find(begin);
    EXPECT_NE(at, std::string::npos) << error;
    if (at == std::string::npos) return "";
    const size_t from = at + begin.size();
    return error.substr(from, error.find('"', from) - from);
  }
  static std::string LabelOfFile(const std::string& path) {
    char value[256];
    const ssize_t size = lgetxattr(path.c_str(), "security.selinux", value, sizeof(value));
    return size < 0 ? "" : std::string(value, static_cast<size_t>(size));
  }

  const std::string node_ = TheWorld().directory + "/node";
};

TEST_F(SelinuxTest, EachPodHasALevelOfItsOwnThatIsKept) {
  const cri::PodSandboxConfig first = PodConfig("first"), second = PodConfig("second");
  const auto one = RunPod(first), other = RunPod(second);
  ASSERT_OK(one);
  ASSERT_OK(other);
  const cri::ContainerConfig config = ShellConfig("main", "true");
  const std::string label = LabelOf(*one, first, config);
  EXPECT_THAT(label, StartsWith("system_u:object_r:container_file_t:s0:c"));
  EXPECT_EQ(LabelOf(*one, first, ShellConfig("beside", "true")), label);
  EXPECT_NE(LabelOf(*other, second, config), label);
  for (const char* file : {"hostname", "hosts", "resolv.conf", "shm"}) {
    EXPECT_EQ(LabelOfFile(absl::StrCat(place_->state(), "/pods/", *one, "/", file)), label) << file;
  }
  ASSERT_OK(RestartDaemon());
  EXPECT_EQ(LabelOf(*one, first, config), label);

  cri::PodSandboxConfig third = PodConfig("third");
  third.mutable_linux()->mutable_security_context()->mutable_selinux_options()->set_level("s0:c1,c2");
  const auto named = RunPod(third);
  ASSERT_OK(named);
  EXPECT_EQ(LabelOf(*named, third, config), "system_u:object_r:container_file_t:s0:c1,c2");
  for (const auto& pod : {one, other, named}) EXPECT_OK(RemovePod(*pod));
}

TEST_F(SelinuxTest, VolumesAreRelabelledWhenTheyAskForIt) {
  const cri::PodSandboxConfig pod_config = PodConfig("one");
  const auto pod = RunPod(pod_config);
  ASSERT_OK(pod);
  cri::ContainerConfig config = ShellConfig("main", "true");
  for (const char* name : {"yes", "no"}) {
    const std::string directory = absl::StrCat(place_->logs(), "/", name);
    ASSERT_OK(MakeDirs(directory));
    ASSERT_OK(WriteFileAtomic(directory + "/file", "", 0644, Durability::kVolatile));
    cri::Mount* mount = config.add_mounts();
    mount->set_host_path(directory);
    mount->set_container_path(absl::StrCat("/", name));
    mount->set_selinux_relabel(name == std::string("yes"));
  }
  const std::string label = LabelOf(*pod, pod_config, config);
  EXPECT_EQ(LabelOfFile(place_->logs() + "/yes/file"), label);
  EXPECT_EQ(LabelOfFile(place_->logs() + "/yes"), label);
  EXPECT_EQ(LabelOfFile(place_->logs() + "/no"), "");

  config.mutable_mounts(1)->set_host_path("/etc");
  config.mutable_mounts(1)->set_selinux_relabel(true);
  const auto refused = Create(*pod, pod_config, config);
  EXPECT_CODE(refused, kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("mount at /no: relabel /etc"));
  EXPECT_EQ(LabelOfFile("/etc"), "");
  ASSERT_OK(RemovePod(*pod));
}

}  // namespace
}  // namespace berth
