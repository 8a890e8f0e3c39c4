#include "tools/load/cuts_images.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "core/base/file.h"

namespace berth {
namespace {

namespace fs = std::filesystem;

class CutsImagesTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/cuts_images.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    rootfs_ = name;
    fs::create_directories(rootfs_ + "/bin");
    fs::copy_file("/bin/busybox", rootfs_ + "/bin/busybox");
    for (const auto& [file, content] : CutsFiles(1)) {
      const std::string path = rootfs_ + "/data/" + file;
      fs::create_directories(fs::path(path).parent_path());
      ASSERT_TRUE(WriteFileAtomic(path, content, 0644, Durability::kVolatile).ok());
    }
  }
  void TearDown() override { fs::remove_all(rootfs_); }

  static std::string AFile() {
    for (const auto& [file, content] : CutsFiles(1)) {
      if (content.size() > 5000) return file;
    }
    return "";
  }

  std::string rootfs_;
};

TEST_F(CutsImagesTest, TheWholeOneIsTakenForWhole) {
  const absl::Status checked = CheckCutsRootfs(1, rootfs_);
  EXPECT_TRUE(checked.ok()) << checked;
  EXPECT_TRUE(absl::IsDataLoss(CheckCutsRootfs(0, rootfs_))) << "it is another image's";
}

TEST_F(CutsImagesTest, AFileLessIsFound) {
  fs::remove(rootfs_ + "/data/" + AFile());
  EXPECT_TRUE(absl::IsDataLoss(CheckCutsRootfs(1, rootfs_)));
}

TEST_F(CutsImagesTest, AFileMoreIsFound) {
  ASSERT_TRUE(WriteFileAtomic(rootfs_ + "/data/more", "", 0644, Durability::kVolatile).ok());
  EXPECT_TRUE(absl::IsDataLoss(CheckCutsRootfs(1, rootfs_)));
}

TEST_F(CutsImagesTest, AShorterFileIsFound) {
  fs::resize_file(rootfs_ + "/data/" + AFile(), 4096);
  EXPECT_TRUE(absl::IsDataLoss(CheckCutsRootfs(1, rootfs_)));
}

TEST_F(CutsImagesTest, ZeroesInAFileAreFound) {
  const std::string path = rootfs_ + "/data/" + AFile();
  const auto size = fs::file_size(path);
  fs::resize_file(path, 4096);
  fs::resize_file(path, size);
  EXPECT_TRUE(absl::IsDataLoss(CheckCutsRootfs(1, rootfs_)));
}

TEST_F(CutsImagesTest, AnotherShellIsFound) {
  fs::resize_file(rootfs_ + "/bin/busybox", 4096);
  EXPECT_TRUE(absl::IsDataLoss(CheckCutsRootfs(1, rootfs_)));
}

}  // namespace
}  // namespace berth
