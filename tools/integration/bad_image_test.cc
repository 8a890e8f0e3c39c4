// Images that are damaged or hostile: PullImage says what is wrong, and nothing of them stays.
#include "core/base/file.h"
#include "tools/integration/daemon_test.h"
#include "tools/integration/isolation.h"

namespace berth {
namespace {

using Type = LayerEntry::Type;

class BadImageTest : public DaemonTest {
 protected:
  static constexpr char kReference[] = "example.org/test/bad:1";

  WrittenImage Write(const std::vector<LayerEntry>& entries) {
    const auto layer = MakeTar(entries);
    EXPECT_OK(layer);
    return WriteLayers({*layer});
  }
  WrittenImage WriteLayers(const std::vector<std::string>& layers) {
    ImageSettings settings;
    settings.reference = kReference;
    settings.command = {"/bin/sh"};
    const auto image = AddImage(place_->images() + "/bad", settings, layers);
    EXPECT_OK(image);
    // Files of the place are no leak of the daemon's.
    NoteWhatExists();
    return image.value_or(WrittenImage());
  }
  void Overwrite(const std::string& path, const std::string& data) {
    EXPECT_OK(WriteFileAtomic(path, data, 0644, Durability::kVolatile));
  }
  void ExpectRefused() {
    const auto pulled = Pull(kReference);
    EXPECT_FALSE(pulled.ok());
    EXPECT_NE(pulled.status().code(), absl::StatusCode::kInternal) << pulled.status();
    EXPECT_NE(pulled.status().code(), absl::StatusCode::kUnavailable) << pulled.status();
    EXPECT_FALSE(pulled.status().message().empty());
    EXPECT_EQ(client().ListImages(cri::ListImagesRequest())->images_size(), 1) << "the good one";
    EXPECT_OK(Pull(kTestImage));
  }
};

TEST_F(BadImageTest, LayerWithOtherBytes) {
  const WrittenImage image = Write({{Type::kFile, "file", "content", 0644}});
  std::string layer = ReadFile(image.layer_paths[0]).value_or("");
  ASSERT_GT(layer.size(), 20u);
  layer[layer.size() / 2] ^= 1;
  Overwrite(image.layer_paths[0], layer);
  ExpectRefused();
}

TEST_F(BadImageTest, TruncatedLayer) {
  const WrittenImage image = Write({{Type::kFile, "file", std::string(100'000, 'x'), 0644}});
  std::string layer = ReadFile(image.layer_paths[0]).value_or("");
  Overwrite(image.layer_paths[0], layer.substr(0, layer.size() / 2));
  ExpectRefused();
}

TEST_F(BadImageTest, MissingLayer) {
  const WrittenImage image = Write({{Type::kFile, "file", "content", 0644}});
  ASSERT_EQ(unlink(image.layer_paths[0].c_str()), 0);
  NoteWhatExists();
  ExpectRefused();
}

TEST_F(BadImageTest, LayerThatIsNoArchive) {
  WriteLayers({"this is no tar archive, however well it is compressed and hashed"});
  ExpectRefused();
}

TEST_F(BadImageTest, ManifestThatIsNoJson) {
  const WrittenImage image = Write({{Type::kFile, "file", "content", 0644}});
  Overwrite(image.manifest_path, "{");
  ExpectRefused();
}

TEST_F(BadImageTest, IndexThatIsNoJsonHidesNoOtherImage) {
  Write({{Type::kFile, "file", "content", 0644}});
  Overwrite(place_->images() + "/bad/index.json", "{\"manifests\": [");
  ExpectRefused();
}

TEST_F(BadImageTest, EntriesThatLeaveTheLayerDoNot) {
  const std::string outside = TheWorld().directory + "/escaped";
  Write({{Type::kFile, "../../../../../../../.." + outside, "x", 0644},
         {Type::kSymlink, "way", TheWorld().directory, 0777},
         {Type::kFile, "way/escaped", "x", 0644}});
  // Refused, or confined: both are safe. What counts is what is outside.
  const auto pulled = Pull(kReference);
  EXPECT_NE(access(outside.c_str(), F_OK), 0) << "a layer wrote outside of its snapshot";
  if (pulled.ok()) {
    cri::RemoveImageRequest remove;
    remove.mutable_image()->set_image(kReference);
    EXPECT_OK(client().RemoveImage(remove));
  }
}

TEST_F(BadImageTest, HardLinkToAFileOfTheHost) {
  Write({{Type::kHardLink, "shadow", "../../../../../../../../etc/shadow", 0644}});
  const auto pulled = Pull(kReference);
  EXPECT_FALSE(pulled.ok());
}

}  // namespace
}  // namespace berth
