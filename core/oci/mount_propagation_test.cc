#include "core/oci/mount_propagation.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

namespace berth::oci {
namespace {

using ::testing::HasSubstr;

constexpr char kTable[] =
    "21 26 0:20 / /proc rw,relatime shared:5 - proc proc rw\n"
    "26 1 254:0 / / rw - ext4 /dev/vda rw\n"
    "30 26 0:40 / /mnt/a\\040b rw master:3 propagate_from:2 - tmpfs t rw\n"
    "31 26 0:41 / /mnt/c rw shared:7 master:3 - tmpfs shared:1 rw\n"
    "2 1 cut";

TEST(FindMount, ReadsTheTags) {
  EXPECT_TRUE(FindMount(kTable, 21)->shared);
  EXPECT_FALSE(FindMount(kTable, 21)->slave);
  EXPECT_FALSE(FindMount(kTable, 26)->shared || FindMount(kTable, 26)->slave);
  EXPECT_EQ(FindMount(kTable, 30)->path, "/mnt/a\\040b");
  EXPECT_TRUE(FindMount(kTable, 30)->slave);
  EXPECT_TRUE(FindMount(kTable, 31)->shared && FindMount(kTable, 31)->slave);
  EXPECT_EQ(FindMount(kTable, 3).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(FindMount(kTable, 2).status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(FindMount("", 1).ok());
}

// In a mount namespace of a child's own: 0 when every step answered as it should, else the step.
int WhatTheKernelSays() {
  if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) != 0) return 100;
  if (mount("t", "/mnt", "tmpfs", 0, nullptr) != 0) return 101;
  const auto ok = [](runtime::v1::MountPropagation wanted) { return CheckPropagation("/mnt", wanted, "/").ok(); };
  const auto slave = runtime::v1::PROPAGATION_HOST_TO_CONTAINER, shared = runtime::v1::PROPAGATION_BIDIRECTIONAL;
  if (!ok(runtime::v1::PROPAGATION_PRIVATE) || ok(slave) || ok(shared)) return 1;
  if (mount(nullptr, "/mnt", nullptr, MS_SHARED, nullptr) != 0 || !ok(slave) || !ok(shared)) return 2;
  if (CheckPropagation("/mnt", shared, "/mnt").ok() || !CheckPropagation("/mnt", slave, "/mnt").ok()) return 4;
  const int peers = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);  // a slave needs a master that lives on
  if (peers < 0 || unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/mnt", nullptr, MS_SLAVE, nullptr) != 0) return 102;
  if (!ok(slave) || ok(shared)) return 3;
  return 0;
}

TEST(CheckPropagation, AsTheMountIs) {
  const pid_t child = fork();
  if (child == 0) _exit(WhatTheKernelSays());
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) >= 100) GTEST_SKIP() << "no mount namespaces here: " << WEXITSTATUS(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(CheckPropagation, SaysWhatIsMissing) {
  const absl::Status status = CheckPropagation("/no/such/place", runtime::v1::PROPAGATION_BIDIRECTIONAL, "/");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/no/such/place"));
}

}  // namespace
}  // namespace berth::oci
