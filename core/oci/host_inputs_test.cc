#include "core/oci/host_inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "core/base/file.h"

namespace berth::oci {
namespace {

using ::testing::HasSubstr;

class HostInputsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/berth-host-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    directory_ = path;
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(directory_).ok()); }

  void Write(const std::string& name, const std::string& text) {
    const std::string path = directory_ + "/" + name;
    ASSERT_TRUE(MakeDirs(path.substr(0, path.rfind('/'))).ok());
    ASSERT_TRUE(WriteFileAtomic(path, text, 0644, Durability::kVolatile).ok());
  }
  void AddDevice(const std::string& host, const std::string& place = "", const std::string& access = "") {
    runtime::v1::Device* device = config_.add_devices();
    device->set_host_path(host);
    device->set_container_path(place);
    device->set_permissions(access);
  }
  void UseProfile(const std::string& path) {
    auto* seccomp = config_.mutable_linux()->mutable_security_context()->mutable_seccomp();
    seccomp->set_profile_type(runtime::v1::SecurityProfile::Localhost);
    seccomp->set_localhost_ref(path);
  }
  absl::StatusOr<HostInputs> Read() { return ReadHostInputs(config_, {}); }
  std::string Error() {
    const auto inputs = Read();
    EXPECT_FALSE(inputs.ok());
    return std::string(inputs.status().message());
  }

  std::string directory_;
  runtime::v1::ContainerConfig config_;
};

TEST_F(HostInputsTest, Devices) {
  AddDevice("/dev/null", "/dev/mine", "r");
  AddDevice("/dev/full");
  const auto inputs = Read();
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  ASSERT_EQ(inputs->devices.size(), 2u);
  EXPECT_EQ(inputs->devices[0].path, "/dev/mine");
  EXPECT_EQ(inputs->devices[0].major, 1);
  EXPECT_EQ(inputs->devices[0].minor, 3);
  EXPECT_EQ(inputs->devices[0].access, "r");
  EXPECT_EQ(inputs->devices[1].path, "/dev/full");
  EXPECT_EQ(inputs->devices[1].access, "rwm");
}

TEST_F(HostInputsTest, DirectoriesOfDevices) {
  ASSERT_TRUE(MakeDirs(directory_ + "/d/sub").ok());
  ASSERT_EQ(mknod((directory_ + "/d/a").c_str(), S_IFCHR | 0600, makedev(1, 3)), 0);
  ASSERT_EQ(mknod((directory_ + "/d/sub/b").c_str(), S_IFBLK | 0600, makedev(7, 250)), 0);
  Write("d/file", "no device");
  ASSERT_EQ(symlink("/dev/null", (directory_ + "/d/link").c_str()), 0);
  AddDevice(directory_ + "/d", "/dev/d");
  const auto inputs = Read();
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  ASSERT_EQ(inputs->devices.size(), 2u);
  EXPECT_EQ(inputs->devices[0].path, "/dev/d/a");
  EXPECT_EQ(inputs->devices[1].path, "/dev/d/sub/b");
  EXPECT_EQ(inputs->devices[1].type, 'b');
}

TEST_F(HostInputsTest, TheSamePlaceTwice) {
  AddDevice("/dev/null", "/dev/x");
  AddDevice("/dev/zero", "/dev/x");
  const auto inputs = Read();
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  ASSERT_EQ(inputs->devices.size(), 1u);
  EXPECT_EQ(inputs->devices[0].minor, 5);
}

TEST_F(HostInputsTest, BadDevices) {
  const char* const cases[][4] = {
      {"/dev/no-such", "", "", "No such file"},          {"dev/null", "", "", "host_path"},
      {"/dev/null", "x", "", "container_path"},          {"/dev/null", "/dev/../x", "", "container_path"},
      {"/dev/null", "", "rwx", "must be of r, w and m"}, {"/etc/hostname", "", "", "neither a device nor a directory"},
  };
  for (const auto& c : cases) {
    config_.clear_devices();
    AddDevice(c[0], c[1], c[2]);
    EXPECT_THAT(Error(), HasSubstr(c[3]));
  }
}

TEST_F(HostInputsTest, PrivilegedHasTheHostsDevices) {
  config_.mutable_linux()->mutable_security_context()->set_privileged(true);
  const auto inputs = Read();
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  bool null = false;
  for (const DeviceNode& device : inputs->devices) {
    null |= device.path == "/dev/null";
    EXPECT_NE(device.path.rfind("/dev/pts/", 0), 0u);
  }
  EXPECT_TRUE(null);
}

TEST_F(HostInputsTest, Profiles) {
  Write("p.json", "{}");
  UseProfile("localhost/" + directory_ + "/p.json");
  EXPECT_EQ(Read()->seccomp_profile, "{}");
  UseProfile(directory_ + "/missing.json");
  EXPECT_EQ(Read().status().code(), absl::StatusCode::kNotFound);
  ASSERT_EQ(mkfifo((directory_ + "/fifo").c_str(), 0600), 0);
  UseProfile(directory_ + "/fifo");
  EXPECT_THAT(Error(), HasSubstr("not a regular file"));
  UseProfile("relative");
  EXPECT_EQ(Read().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(HostInputsTest, AppArmor) {
  const AppArmorPlaces places{directory_ + "/enabled", directory_ + "/profiles"};
  EXPECT_FALSE(ReadHostInputs(config_, {}, places)->apparmor.enabled);
  Write("enabled", "Y\n");
  Write("profiles", "p (enforce)\n");
  EXPECT_EQ(ReadHostInputs(config_, {}, places)->apparmor.profiles.count("p"), 1u);
}

TEST_F(HostInputsTest, CgroupFacts) {
  EXPECT_FALSE(ReadCgroupFacts(1, directory_).swap);
  Write("memory/memory.memsw.limit_in_bytes", "");
  EXPECT_TRUE(ReadCgroupFacts(1, directory_).swap);
  EXPECT_FALSE(ReadCgroupFacts(2, directory_).swap);
  Write("cgroup.controllers", "cpu memory\n");
  Write("pod/memory.swap.max", "");
  EXPECT_TRUE(ReadCgroupFacts(2, directory_).swap);
  EXPECT_FALSE(ReadCgroupFacts(2, directory_).hugetlb);
  Write("cgroup.controllers", "cpu hugetlb\n");
  EXPECT_TRUE(ReadCgroupFacts(2, directory_).hugetlb);
}

}  // namespace
}  // namespace berth::oci
