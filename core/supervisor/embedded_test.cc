#include "core/supervisor/embedded.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/match.h"
#include "core/base/file.h"
#include "gtest/gtest.h"

namespace berth {
namespace {

class EmbeddedTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/berth-embedded-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    dir_ = name;
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(dir_).ok()); }

  static struct stat Stat(const std::string& path) {
    struct stat st = {};
    EXPECT_EQ(stat(path.c_str(), &st), 0) << path;
    return st;
  }

  std::string dir_;
};

TEST_F(EmbeddedTest, IsLaidDownOnce) {
  auto path = InstallSupervisor(dir_ + "/libexec");
  ASSERT_TRUE(path.ok()) << path.status();
  EXPECT_TRUE(absl::EndsWith(*path, "/supervisor-" + std::string(SupervisorBuildId())));
  struct stat first = Stat(*path);
  EXPECT_EQ(first.st_mode & 07777, 0755u);
  EXPECT_EQ(static_cast<size_t>(first.st_size), SupervisorProgram().size());
  ASSERT_TRUE(InstallSupervisor(dir_ + "/libexec").ok());
  EXPECT_EQ(Stat(*path).st_ino, first.st_ino) << "intact, so not written again";
}

TEST_F(EmbeddedTest, DamageIsRepaired) {
  std::string path = *InstallSupervisor(dir_);
  struct stat first = Stat(path);
  auto file = OpenFile(path, O_WRONLY);
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(pwrite(file->get(), "x", 1, 5000), 1);
  file->reset();
  ASSERT_TRUE(InstallSupervisor(dir_).ok());
  EXPECT_NE(Stat(path).st_ino, first.st_ino);
  EXPECT_EQ(*ReadFile(path), std::string(SupervisorProgram()));
  for (const off_t size : {off_t{0}, static_cast<off_t>(SupervisorProgram().size() / 2)}) {
    ASSERT_EQ(truncate(path.c_str(), size), 0);
    ASSERT_TRUE(InstallSupervisor(dir_).ok());
    EXPECT_EQ(*ReadFile(path), std::string(SupervisorProgram())) << "torn at " << size;
  }
  ASSERT_EQ(chmod(path.c_str(), 0777), 0);
  ASSERT_TRUE(InstallSupervisor(dir_).ok());
  EXPECT_EQ(Stat(path).st_mode & 07777, 0755u);
  EXPECT_EQ(ListDir(dir_)->size(), 1u) << "no temporary file stays";
}

TEST_F(EmbeddedTest, IsAStaticProgramOfModestSize) {
  EXPECT_EQ(SupervisorProgram().substr(0, 4),
            "\x7f"
            "ELF");
  Elf64_Ehdr header;
  std::memcpy(&header, SupervisorProgram().data(), sizeof(header));
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    std::memcpy(&segment, SupervisorProgram().data() + header.e_phoff + i * sizeof(segment), sizeof(segment));
    EXPECT_NE(segment.p_type, static_cast<uint32_t>(PT_INTERP)) << "needs a loader";
  }
  EXPECT_LT(SupervisorProgram().size(), 1u << 20);
  EXPECT_EQ(SupervisorBuildId().size(), 16u);
}

}  // namespace
}  // namespace berth
