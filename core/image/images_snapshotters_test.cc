// Images that are kept by more than one snapshotter.
#include "core/base/failpoint.h"
#include "core/image/testing/images_fixture.h"

namespace berth {
namespace {

constexpr char kApp[] = "docker.io/library/app:latest";

class ImagesSnapshottersTest : public ImagesFixture {
 protected:
  void SetUp() override {
    with_second_ = true;
    ImagesFixture::SetUp();
  }
  size_t Trees() { return snapshotter_->Keys().size() + second_->Keys().size(); }
};

TEST_F(ImagesSnapshottersTest, OnePullUnpacksForEach) {
  const std::string id = content_.AddImage(kApp, {Tar("a"), Tar("b")});
  snapshotters_ = {"fake", "second"};
  const auto pulled = Pull("app");
  ASSERT_TRUE(pulled.ok()) << pulled.status();
  EXPECT_EQ(*pulled, id);
  EXPECT_EQ(images_->List().size(), 1u);
  const auto first = images_->ChainKeys(id, "fake"), second = images_->ChainKeys(id, "second");
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_NE(*first, *second);
  EXPECT_EQ(*ReadFile(snapshotter_->Tree((*first)[0]) + "/b"), "contents of b");
  EXPECT_EQ(*ReadFile(second_->Tree((*second)[0]) + "/b"), "contents of b");
  EXPECT_EQ(images_->FsInfo().size(), 2u);
  Stop();
  Start();
  EXPECT_EQ(*images_->ChainKeys(id, "second"), *second);
  ASSERT_TRUE(images_->Remove(Call(), "app").ok());
  EXPECT_EQ(Trees(), 0u);
  ExpectClean(0);
}

TEST_F(ImagesSnapshottersTest, AnImageIsForThoseItWasPulledFor) {
  const std::string id = content_.AddImage(kApp, {Tar("a")});
  ASSERT_TRUE(Pull("app").ok());
  const absl::Status other = images_->ChainKeys(id, "second").status();
  EXPECT_EQ(other.code(), absl::StatusCode::kFailedPrecondition) << other;
  EXPECT_NE(other.message().find("pull it again"), other.message().npos);
  EXPECT_FALSE(images_->ChainKeys(id, "third").ok());
  // Another image has the same layer there: that does not make this one whole.
  content_.AddImage("docker.io/library/two:latest", {Tar("a"), Tar("b")});
  snapshotters_ = {"second"};
  ASSERT_TRUE(Pull("two").ok());
  EXPECT_FALSE(images_->ChainKeys(id, "second").ok());
  ASSERT_TRUE(Pull("app").ok());
  EXPECT_TRUE(images_->ChainKeys(id, "second").ok());
  EXPECT_TRUE(images_->ChainKeys(id, "fake").ok());
  EXPECT_EQ(images_->Status("app")->snapshotters, (std::vector<std::string>{"fake", "second"}));
  ASSERT_TRUE(images_->Remove(Call(), "two").ok());
  EXPECT_TRUE(images_->ChainKeys(id, "second").ok()) << "its layer is shared";
  EXPECT_EQ(Trees(), 2u);
}

TEST_F(ImagesSnapshottersTest, AllOrNone) {
  content_.AddImage(kApp, {Tar("a"), Tar("b")});
  snapshotters_ = {"fake", "nowhere"};
  EXPECT_EQ(Pull("app").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Trees(), 0u);
  snapshotters_ = {"fake", "second"};
  // The first snapshotter passes it, once for each layer; the second does not.
  for (const std::string point : {"image.pull.worker=1", "image.pull.prepared=2", "image.pull.commit=2"}) {
    ASSERT_TRUE(SetFailpoints(point + "*off->return(EIO)").ok());
    EXPECT_FALSE(Pull("app").ok()) << point;
    ASSERT_TRUE(SetFailpoints("").ok());
    EXPECT_EQ(images_->List().size(), 0u) << point;
    EXPECT_EQ(Trees(), 0u) << point;
    ExpectClean(0);
  }
  EXPECT_TRUE(Pull("app").ok());
}

TEST_F(ImagesSnapshottersTest, FilesThatAreGoneTakeOneCopyOnly) {
  const std::string id = content_.AddImage(kApp, {Tar("a"), Tar("b")});
  snapshotters_ = {"fake", "second"};
  ASSERT_TRUE(Pull("app").ok());
  ASSERT_TRUE(second_->Remove(Call(), images_->ChainKeys(id, "second")->front()).ok());
  Stop();
  Start();
  EXPECT_TRUE(images_->ChainKeys(id, "fake").ok());
  EXPECT_FALSE(images_->ChainKeys(id, "second").ok());
  ASSERT_TRUE(Pull("app").ok());
  EXPECT_TRUE(images_->ChainKeys(id, "second").ok());
  EXPECT_EQ(Trees(), 4u);
}

TEST_F(ImagesSnapshottersTest, OneThatIsConfiguredNoMoreIsLeftAlone) {
  const std::string id = content_.AddImage(kApp, {Tar("a")});
  snapshotters_ = {"fake", "second"};
  ASSERT_TRUE(Pull("app").ok());
  Stop();
  with_second_ = false;
  Start();
  EXPECT_TRUE(images_->ChainKeys(id, "fake").ok());
  EXPECT_FALSE(images_->ChainKeys(id, "second").ok());
  Stop();
  with_second_ = true;
  Start();
  EXPECT_TRUE(images_->ChainKeys(id, "second").ok());
}

}  // namespace
}  // namespace berth
