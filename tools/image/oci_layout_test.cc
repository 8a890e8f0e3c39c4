#include "tools/image/oci_layout.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/base/file.h"
#include "core/base/subprocess.h"
#include "core/oci/digest.h"

namespace berth {
namespace {

class OciLayoutTest : public testing::Test {
 protected:
  void SetUp() override {
    char directory[] = "/tmp/oci_layout_test.XXXXXX";
    ASSERT_NE(mkdtemp(directory), nullptr);
    directory_ = directory;
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(directory_).ok()); }

  std::string directory_;
};

TEST_F(OciLayoutTest, EveryBlobHasItsNameAndTheConfigNamesTheLayer) {
  const auto image = AddBusyboxImage(directory_, "example.org/busybox:1");
  ASSERT_TRUE(image.ok()) << image.status();
  for (const std::string& path : {image->manifest_path, image->config_path, image->layer_paths[0]}) {
    const auto data = ReadFile(path, 16 << 20);
    ASSERT_TRUE(data.ok()) << data.status();
    EXPECT_EQ(path, directory_ + "/blobs/sha256/" + std::string(Digest::Of(*data).hex()));
  }
  const auto config = nlohmann::json::parse(*ReadFile(image->config_path));
  EXPECT_EQ(config["rootfs"]["diff_ids"].size(), 1u);
  const auto index = nlohmann::json::parse(*ReadFile(directory_ + "/index.json"));
  EXPECT_EQ(index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"], "example.org/busybox:1");
}

TEST_F(OciLayoutTest, OtherToolsReadIt) {
  ASSERT_TRUE(AddBusyboxImage(directory_, "example.org/busybox:1").ok());
  ASSERT_TRUE(AddBusyboxImage(directory_, "second").ok());
  Command inspect;
  inspect.argv = {"/usr/bin/skopeo", "inspect", "oci:" + directory_ + ":second"};
  inspect.env = {"PATH=/usr/bin:/bin", "HOME=" + directory_};
  const auto result = RunCommand(inspect);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->wait_status, 0) << result->err;
}

TEST(TarTest, KeepsHostileNames) {
  const auto tar = MakeTar({{LayerEntry::Type::kFile, "../../escape", "x", 0644}});
  ASSERT_TRUE(tar.ok());
  EXPECT_NE(tar->find("../../escape"), std::string::npos);
}

}  // namespace
}  // namespace berth
