// With the kernel's own attribute: without SELinux it is one like others.
#include "core/container/relabel.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>

#include "core/base/file.h"

namespace berth {
namespace {

using ::testing::HasSubstr;

constexpr char kLabel[] = "system_u:object_r:container_file_t:s0:c1,c2";

class RelabelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (access("/sys/fs/selinux/enforce", F_OK) == 0) GTEST_SKIP() << "the policy of this machine has a say in labels";
    char path[] = "/tmp/berth-relabel-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    directory_ = path;
    tree_ = directory_ + "/tree";
    ASSERT_TRUE(MakeDirs(tree_ + "/sub/deep").ok());
    ASSERT_TRUE(MakeDirs(directory_ + "/outside").ok());
    for (const std::string& file : {tree_ + "/file", tree_ + "/sub/deep/file", directory_ + "/outside/file"}) {
      ASSERT_TRUE(WriteFileAtomic(file, "x", 0600, Durability::kVolatile).ok());
    }
    ASSERT_EQ(symlink("../outside", (tree_ + "/link").c_str()), 0);
    ASSERT_EQ(mkfifo((tree_ + "/fifo").c_str(), 0600), 0);
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(directory_).ok()); }

  static std::string LabelOf(const std::string& path) {
    char value[256];
    const ssize_t size = lgetxattr(path.c_str(), kSelinuxAttribute, value, sizeof(value));
    return size < 0 ? "" : std::string(value, static_cast<size_t>(size));
  }
  static std::string Refusal(const std::string& path) {
    const absl::Status status = RelabelTree(path, kLabel);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << path;
    return std::string(status.message());
  }
  // Mounts from here on are this process's alone.
  static void UnshareMounts() {
    static const bool unshared =
        unshare(CLONE_NEWNS) == 0 && mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) == 0;
    ASSERT_TRUE(unshared);
  }

  std::string directory_, tree_;
};

TEST_F(RelabelTest, TheWholeTreeAndNothingThatLinksLeadTo) {
  ASSERT_EQ(RelabelTree(tree_, kLabel), absl::OkStatus());
  for (const char* name : {"", "/sub", "/sub/deep", "/file", "/sub/deep/file", "/fifo", "/link"}) {
    EXPECT_EQ(LabelOf(tree_ + name), kLabel) << name;
  }
  for (const char* name : {"", "/outside", "/outside/file"}) EXPECT_EQ(LabelOf(directory_ + name), "") << name;
  EXPECT_EQ(RelabelTree(tree_, "a:b:c:s0"), absl::OkStatus());
  EXPECT_EQ(LabelOf(tree_ + "/sub/deep/file"), "a:b:c:s0");
}

TEST_F(RelabelTest, AFileAloneAndThroughALink) {
  ASSERT_EQ(RelabelTree(tree_ + "/file", kLabel), absl::OkStatus());
  EXPECT_EQ(LabelOf(tree_ + "/file"), kLabel);
  EXPECT_EQ(LabelOf(tree_), "");
  ASSERT_EQ(RelabelTree(tree_ + "/link", kLabel), absl::OkStatus());
  EXPECT_EQ(LabelOf(directory_ + "/outside/file"), kLabel);
  EXPECT_EQ(RelabelTree(tree_ + "/none", kLabel).code(), absl::StatusCode::kNotFound);
}

TEST_F(RelabelTest, WhatHasTheLabelIsNotWritten) {
  ASSERT_EQ(RelabelTree(tree_, kLabel), absl::OkStatus());
  struct stat before, after;
  ASSERT_EQ(stat((tree_ + "/file").c_str(), &before), 0);
  ASSERT_EQ(removexattr((tree_ + "/sub").c_str(), kSelinuxAttribute), 0);
  ASSERT_EQ(RelabelTree(tree_, kLabel), absl::OkStatus());
  ASSERT_EQ(stat((tree_ + "/file").c_str(), &after), 0);
  EXPECT_EQ(before.st_ctim.tv_sec, after.st_ctim.tv_sec);
  EXPECT_EQ(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
  EXPECT_EQ(LabelOf(tree_ + "/sub"), kLabel);
  // With a NUL at its end, as libselinux writes it, it is the same.
  ASSERT_EQ(setxattr((tree_ + "/file").c_str(), kSelinuxAttribute, kLabel, sizeof(kLabel), 0), 0);
  ASSERT_EQ(RelabelTree(tree_, kLabel), absl::OkStatus());
  EXPECT_EQ(LabelOf(tree_ + "/file"), std::string(kLabel, sizeof(kLabel)));
}

TEST_F(RelabelTest, DirectoriesOfTheSystemAreRefused) {
  for (const char* path : {"/", "/etc", "/usr", "/home", "/var/lib/..", "/proc/self/root", "/etc/passwd", "/usr/bin"}) {
    EXPECT_THAT(Refusal(path), HasSubstr("which the node itself needs")) << path;
  }
  ASSERT_EQ(symlink("/usr/share", (tree_ + "/share").c_str()), 0);
  EXPECT_THAT(Refusal(tree_ + "/share"), HasSubstr("it is /usr/share"));
}

TEST_F(RelabelTest, MountsAreOtherPlaces) {
  UnshareMounts();
  ASSERT_EQ(mount((directory_ + "/outside").c_str(), (tree_ + "/sub").c_str(), nullptr, MS_BIND, nullptr), 0);
  EXPECT_EQ(RelabelTree(tree_, kLabel), absl::OkStatus());
  ASSERT_EQ(umount((tree_ + "/sub").c_str()), 0);
  EXPECT_EQ(LabelOf(tree_ + "/file"), kLabel);
  EXPECT_EQ(LabelOf(directory_ + "/outside/file"), "");
  EXPECT_EQ(LabelOf(directory_ + "/outside"), "");

  ASSERT_EQ(mount("/home", (tree_ + "/sub").c_str(), nullptr, MS_BIND, nullptr), 0);
  EXPECT_THAT(Refusal(tree_ + "/sub"), HasSubstr("which the node itself needs")) << "by another name";
  ASSERT_EQ(umount((tree_ + "/sub").c_str()), 0);
}

TEST_F(RelabelTest, AFileSystemWithoutLabelsIsLeftAlone) {
  UnshareMounts();
  ASSERT_EQ(mount("ramfs", (tree_ + "/sub").c_str(), "ramfs", 0, nullptr), 0);
  ASSERT_TRUE(WriteFileAtomic(tree_ + "/sub/file", "x", 0600, Durability::kVolatile).ok());
  ASSERT_EQ(setxattr((tree_ + "/sub/file").c_str(), kSelinuxAttribute, kLabel, 1, 0), -1);
  EXPECT_EQ(RelabelTree(tree_ + "/sub", kLabel), absl::OkStatus());
  ASSERT_EQ(umount((tree_ + "/sub").c_str()), 0);
}

TEST_F(RelabelTest, ATreeThatIsTooDeepIsRefused) {
  UniqueFd at = OpenFile(tree_, O_RDONLY | O_DIRECTORY).value();
  for (int i = 0; i < 520; ++i) {
    ASSERT_EQ(mkdirat(at.get(), "d", 0700), 0);
    at = OpenFileAt(at.get(), "d", O_RDONLY | O_DIRECTORY).value();
  }
  EXPECT_THAT(std::string(RelabelTree(tree_, kLabel).message()), HasSubstr("the tree is too deep"));
}

}  // namespace
}  // namespace berth
