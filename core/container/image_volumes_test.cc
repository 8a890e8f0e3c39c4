#include "core/container/image_volumes.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/base/file.h"

namespace berth {
namespace {

using ::testing::HasSubstr;

class ImageVolumesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/berth-volumes-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    directory_ = path;
    ASSERT_TRUE(MakeDirs(directory_ + "/root/data").ok());
    ASSERT_TRUE(WriteFileAtomic(directory_ + "/root/file", "", 0644, Durability::kVolatile).ok());
    for (const auto& [target, name] : {std::pair("/proc", "kernel"), {"/data", "again"}, {"../../..", "up"}}) {
      ASSERT_EQ(symlink(target, (directory_ + "/root/" + name).c_str()), 0);
    }
    ASSERT_TRUE(MakeDirs(directory_ + "/root/proc").ok());
    fd_ = OpenFile(directory_ + "/root", O_RDONLY | O_DIRECTORY).value();
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(directory_).ok()); }

  absl::StatusOr<std::vector<oci::VolumeMount>> Volumes(const std::vector<std::string>& declared,
                                                        const std::vector<oci::VolumeMount>& configured = {}) {
    return ImageVolumes(fd_.get(), declared, configured);
  }

  std::string directory_;
  UniqueFd fd_;
};

TEST_F(ImageVolumesTest, AreDirectoriesOfTheImageAndMadeWhenMissing) {
  const auto volumes = Volumes({"/data", "/new/deep/", "relative"});
  ASSERT_TRUE(volumes.ok()) << volumes.status();
  ASSERT_EQ(volumes->size(), 3u);
  EXPECT_EQ(volumes->at(0).source, directory_ + "/root/data");
  EXPECT_EQ(volumes->at(0).destination, "/data");
  EXPECT_FALSE(volumes->at(0).read_only);
  EXPECT_EQ(volumes->at(1).destination, "/new/deep");
  EXPECT_EQ(volumes->at(2).source, directory_ + "/root/relative");
  EXPECT_EQ(access((directory_ + "/root/new/deep").c_str(), F_OK), 0);
}

TEST_F(ImageVolumesTest, GiveWayToTheContainersMounts) {
  oci::VolumeMount mount;
  mount.destination = "/data";
  EXPECT_TRUE(Volumes({"/data/", "/again"}, {mount})->empty());
  EXPECT_EQ(Volumes({"/data", "/again"})->size(), 1u);
}

TEST_F(ImageVolumesTest, StayInsideAndOffTheKernelsFileSystems) {
  const auto up = Volumes({"/up/tmp"});
  ASSERT_TRUE(up.ok()) << up.status();
  EXPECT_EQ(up->at(0).source, directory_ + "/root/tmp");
  for (const char* bad :
       {"/", "/proc", "/proc/self/attr", "/kernel/attr", "/sys/fs", "/dev/shm", "/data/../x", "/file", "/file/below"}) {
    EXPECT_FALSE(Volumes({bad}).ok()) << bad;
  }
  EXPECT_THAT(std::string(Volumes({"/kernel"}).status().message()), HasSubstr("declares a volume at \"/kernel\""));
  EXPECT_FALSE(Volumes(std::vector<std::string>(129, "/data")).ok());
}

}  // namespace
}  // namespace berth
