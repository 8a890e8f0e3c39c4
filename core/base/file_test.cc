#include "core/base/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "core/base/path.h"
#include "core/base/status.h"

namespace berth {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/berth_file_XXXXXX";
    dir_ = mkdtemp(name);
  }
  void TearDown() override { ASSERT_TRUE(RemoveTree(dir_).ok()); }
  std::string dir_;
};

TEST_F(FileTest, AtomicWriteReplacesAndLeavesNoTemporary) {
  const std::string path = dir_ + "/f";
  ASSERT_TRUE(WriteFileAtomic(path, "old", 0600, Durability::kDurable).ok());
  ASSERT_TRUE(WriteFileAtomic(path, "new", 0640, Durability::kVolatile).ok());
  EXPECT_EQ(*ReadFile(path), "new");
  EXPECT_THAT(*ListDir(dir_), ElementsAre("f"));
  struct stat st;
  ASSERT_EQ(stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0640u);
}

TEST_F(FileTest, AFailedAtomicWriteLeavesNothing) {
  ASSERT_TRUE(MakeDirs(dir_ + "/target").ok());
  EXPECT_FALSE(WriteFileAtomic(dir_ + "/target", "x", 0600, Durability::kVolatile).ok());
  EXPECT_THAT(*ListDir(dir_), ElementsAre("target"));
}

TEST_F(FileTest, WhatADeadWriterLeftIsRemovedAndInNobodysWay) {
  const pid_t dead = fork();
  if (dead == 0) _exit(0);
  waitpid(dead, nullptr, 0);
  const std::string abandoned = absl::StrCat(dir_, "/key.tmp.", dead, ".0");
  const std::vector<std::string> kept = {absl::StrCat("key.tmp.", getpid(), ".7"), "key.tmp.x.0", "key.tmp.1", "key"};
  for (const std::string& name : kept) {
    ASSERT_TRUE(WriteFileAtomic(dir_ + "/" + name, "x", 0600, Durability::kVolatile).ok());
  }
  ASSERT_TRUE(WriteFileAtomic(abandoned, "x", 0600, Durability::kVolatile).ok());
  RemoveAbandonedTemporaries(dir_);
  EXPECT_THAT(*ListDir(dir_), testing::UnorderedElementsAreArray(kept));
  // One of our own number, from before a reboot, for each count that may come next.
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(OpenFile(absl::StrCat(dir_, "/new.tmp.", getpid(), ".", i), O_WRONLY | O_CREAT, 0600).ok());
  }
  EXPECT_TRUE(WriteFileAtomic(dir_ + "/new", "x", 0600, Durability::kVolatile).ok());
}

TEST_F(FileTest, ReadsAreBounded) {
  ASSERT_TRUE(WriteFileAtomic(dir_ + "/f", std::string(100, 'x'), 0600, Durability::kVolatile).ok());
  EXPECT_EQ(ReadFile(dir_ + "/f", 100)->size(), 100u);
  EXPECT_EQ(ReadFile(dir_ + "/f", 99).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(FileTest, ErrorsNameThePathAndKeepTheErrno) {
  const absl::Status status = ReadFile(dir_ + "/none").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr(dir_ + "/none: No such file or directory"));
  EXPECT_EQ(ErrnoOf(Annotate(status, "context")), ENOENT);
}

TEST_F(FileTest, RemoveTreeFollowsNoLinks) {
  ASSERT_TRUE(MakeDirs(dir_ + "/keep").ok());
  ASSERT_TRUE(WriteFileAtomic(dir_ + "/keep/precious", "x", 0600, Durability::kVolatile).ok());
  ASSERT_TRUE(MakeDirs(dir_ + "/gone/a/b").ok());
  ASSERT_EQ(symlink((dir_ + "/keep").c_str(), (dir_ + "/gone/a/link").c_str()), 0);
  ASSERT_TRUE(RemoveTree(dir_ + "/gone").ok());
  ASSERT_TRUE(RemoveTree(dir_ + "/gone").ok());  // again: nothing to do
  EXPECT_THAT(*ListDir(dir_), ElementsAre("keep"));
  EXPECT_EQ(*ReadFile(dir_ + "/keep/precious"), "x");
}

TEST_F(FileTest, MakeDirsRefusesAFileInTheWay) {
  ASSERT_TRUE(WriteFileAtomic(dir_ + "/f", "x", 0600, Durability::kVolatile).ok());
  EXPECT_EQ(ErrnoOf(MakeDirs(dir_ + "/f")), ENOTDIR);
  EXPECT_EQ(ErrnoOf(MakeDirs(dir_ + "/f/g")), ENOTDIR);
}

TEST_F(FileTest, PathsInARootStayInside) {
  ASSERT_TRUE(MakeDirs(dir_ + "/root/etc").ok());
  ASSERT_TRUE(WriteFileAtomic(dir_ + "/secret", "outside", 0600, Durability::kVolatile).ok());
  ASSERT_TRUE(WriteFileAtomic(dir_ + "/root/secret", "inside", 0600, Durability::kVolatile).ok());
  ASSERT_EQ(symlink("../../secret", (dir_ + "/root/etc/up").c_str()), 0);
  ASSERT_EQ(symlink("/secret", (dir_ + "/root/etc/absolute").c_str()), 0);
  ASSERT_EQ(symlink("/proc/self/exe", (dir_ + "/root/etc/magic").c_str()), 0);
  auto root = OpenFile(dir_ + "/root", O_RDONLY | O_DIRECTORY);
  ASSERT_TRUE(root.ok());
  for (const char* path : {"/etc/up", "etc/up", "/etc/absolute", "../../secret"}) {
    auto fd = OpenInRoot(root->get(), path, O_RDONLY);
    ASSERT_TRUE(fd.ok()) << path << fd.status();
    EXPECT_EQ(*ReadAll(fd->get()), "inside") << path;
  }
  EXPECT_FALSE(OpenInRoot(root->get(), "/etc/magic", O_RDONLY).ok());
}

TEST_F(FileTest, DirectoriesInARootAreMadeInside) {
  ASSERT_TRUE(MakeDirs(dir_ + "/root").ok());
  ASSERT_EQ(symlink("/../../..", (dir_ + "/root/link").c_str()), 0);
  auto root = OpenFile(dir_ + "/root", O_RDONLY | O_DIRECTORY);
  ASSERT_TRUE(root.ok());
  ASSERT_TRUE(MakeDirsInRoot(root->get(), "/link/a/b").ok());
  EXPECT_THAT(*ListDir(dir_ + "/root"), ElementsAre("a", "link"));
  EXPECT_THAT(*ListDir(dir_), ElementsAre("root"));
}

TEST(PathTest, ChecksOfOutsidePaths) {
  EXPECT_TRUE(CheckAbsolutePath("/a/b..c", "p").ok());
  EXPECT_TRUE(CheckRelativePath("a/b.log", "p").ok());
  EXPECT_THAT(CheckAbsolutePath("a", "log").message(), HasSubstr("log is not absolute"));
  EXPECT_THAT(CheckAbsolutePath("/a/../b", "p").message(), HasSubstr(".. component"));
  EXPECT_THAT(CheckRelativePath("..", "p").message(), HasSubstr(".. component"));
  EXPECT_THAT(CheckRelativePath("/a", "p").message(), HasSubstr("not relative"));
  EXPECT_THAT(CheckRelativePath("", "p").message(), HasSubstr("is empty"));
  EXPECT_THAT(CheckAbsolutePath(absl::string_view("/a\0b", 4), "p").message(), HasSubstr("NUL"));
  EXPECT_THAT(CheckAbsolutePath("/" + std::string(5000, 'a'), "p").message(), HasSubstr("longer than"));
}

}  // namespace
}  // namespace berth
