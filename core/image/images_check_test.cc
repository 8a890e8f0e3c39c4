// Layers that lost files between two boots, and how their images come back.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <mutex>
#include <set>
#include <vector>

#include "core/image/images.h"
#include "core/image/testing/images_fixture.h"
#include "proto/berth/state/v1/state.pb.h"

namespace berth {
namespace {

constexpr char kApp[] = "docker.io/library/app:latest";
constexpr char kOther[] = "docker.io/library/other:latest";

class ImagesCheckTest : public ImagesFixture {
 protected:
  void SetUp() override {
    on_usage_ = [this](const std::string& key) {
      const std::lock_guard<std::mutex> lock(mutex_);
      looked_at_.insert(key);
    };
    ASSERT_NO_FATAL_FAILURE(ImagesFixture::SetUp());
    // They share the lowest layer.
    app_ = content_.AddImage(kApp, {Tar("base"), Tar("a"), Tar("b")});
    other_ = content_.AddImage(kOther, {Tar("base"), Tar("x")});
    ASSERT_TRUE(Pull("app").ok());
    ASSERT_TRUE(Pull("other").ok());
  }

  // The tree of the image's layer `index`, base first.
  std::string Tree(const std::string& id, size_t index) {
    const auto keys = images_->ChainKeys(id, "fake");
    EXPECT_TRUE(keys.ok()) << keys.status();
    return keys.ok() ? snapshotter_->Tree((*keys)[keys->size() - 1 - index]) : "";
  }

  void Boot(const std::string& boot_id) {
    Stop();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      looked_at_.clear();
    }
    boot_id_ = boot_id;
    Start();
  }

  std::multiset<std::string> LookedAt() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return looked_at_;
  }

  // The task behind the start is done.
  void AwaitGone(const std::string& id) {
    while (images_->Status(id) != nullptr) usleep(1000);
  }

  // What is damaged is removed behind the answers, and each tree has an open intent until then.
  void AwaitClean(size_t layers) {
    while (snapshotter_->Keys().size() != layers || Intents() != 0) usleep(1000);
    ExpectClean(layers);
  }

  std::string app_, other_;

 private:
  int Intents() {
    int intents = 0;
    const absl::Status read = store_->ForEach(Table::kIntents, [&](absl::string_view, absl::string_view) {
      ++intents;
      return absl::OkStatus();
    });
    EXPECT_TRUE(read.ok()) << read;
    return intents;
  }

  std::mutex mutex_;
  std::multiset<std::string> looked_at_;
};

TEST_F(ImagesCheckTest, EachDamageIsFoundAfterABoot) {
  const std::vector<std::pair<const char*, std::function<void(const std::string&)>>> damages = {
      {"emptied", [](const std::string& tree) { std::filesystem::remove(tree + "/b"); }},
      {"torn", [](const std::string& tree) { ASSERT_EQ(truncate((tree + "/b").c_str(), 3), 0); }},
      {"nothing left of a file", [](const std::string& tree) { ASSERT_EQ(truncate((tree + "/b").c_str(), 0), 0); }},
      {"gone", [](const std::string& tree) { std::filesystem::remove_all(tree); }},
      {"never committed", [](const std::string& tree) { std::filesystem::remove(tree + ".committed"); }},
  };
  int boots = 0;
  for (const auto& [what, damage] : damages) {
    SCOPED_TRACE(what);
    damage(Tree(app_, 2));
    Boot(absl::StrCat("boot ", ++boots));
    AwaitGone("app");
    ASSERT_NE(images_->Status("other"), nullptr) << "it shares only what is whole";
    const auto pulled = Pull("app");
    ASSERT_TRUE(pulled.ok()) << pulled.status();
    EXPECT_EQ(*ReadFile(Tree(app_, 2) + "/b"), "contents of b");
    AwaitClean(4);
  }
}

TEST_F(ImagesCheckTest, ADamagedLayerTakesEveryImageThatNeedsIt) {
  const std::string base = content_.LayerDigest(0);
  EXPECT_EQ(content_.fetches[base], 1);
  std::filesystem::remove(Tree(app_, 0) + "/base");
  Boot("second boot");
  AwaitGone("app");
  AwaitGone("other");
  ASSERT_TRUE(Pull("other").ok());
  EXPECT_EQ(content_.fetches[base], 2);
  EXPECT_EQ(*ReadFile(Tree(other_, 0) + "/base"), "contents of base");
  AwaitClean(2);
}

// Whoever comes before the task behind the start looks by himself.
TEST_F(ImagesCheckTest, APullTrustsNoLayerThatNobodyHasLookedAt) {
  for (int i = 0; i < 20; ++i) {
    std::filesystem::remove(Tree(app_, 0) + "/base");
    Boot(absl::StrCat("boot ", i));
    const auto pulled = Pull("app");
    ASSERT_TRUE(pulled.ok()) << pulled.status();
    ASSERT_EQ(*ReadFile(Tree(app_, 0) + "/base"), "contents of base");
    ASSERT_TRUE(Pull("other").ok());
  }
  AwaitClean(4);
}

TEST_F(ImagesCheckTest, AContainerIsMadeOfNoLayerThatNobodyHasLookedAt) {
  for (int i = 0; i < 20; ++i) {
    std::filesystem::remove(Tree(app_, 1) + "/a");
    Boot(absl::StrCat("boot ", i));
    EXPECT_TRUE(absl::IsNotFound(images_->ChainKeys(app_, "fake").status()));
    EXPECT_TRUE(images_->ChainKeys(other_, "fake").ok());
    EXPECT_EQ(images_->Status("app"), nullptr);
    ASSERT_TRUE(Pull("app").ok());
  }
  AwaitClean(4);
}

TEST_F(ImagesCheckTest, EachLayerIsLookedAtOnceInABootAndInTheSameBootNone) {
  Boot("second boot");
  EXPECT_TRUE(images_->ChainKeys(app_, "fake").ok());
  EXPECT_TRUE(images_->ChainKeys(other_, "fake").ok());
  EXPECT_GE(LookedAt().size(), 4u);
  // What was known is known to the next daemon.
  Boot("second boot");
  EXPECT_TRUE(images_->ChainKeys(app_, "fake").ok());
  EXPECT_TRUE(Pull("other").ok());
  Stop();
  EXPECT_EQ(LookedAt().size(), 0u);
  Start();
}

TEST_F(ImagesCheckTest, AContainerThatHasEndedDoesNotKeepDamagedLayers) {
  pins_ = {{"c1", app_}};
  std::filesystem::remove(Tree(app_, 1) + "/a");
  Boot("second boot");
  AwaitGone("app");
  pins_.clear();
  ASSERT_TRUE(Pull("app").ok());
  images_->Unpin("c1");
  EXPECT_TRUE(images_->ChainKeys(app_, "fake").ok());
  AwaitClean(4);
}

// It had no boot in its rows and no fingerprints. Containers may run on its layers: they are taken as they are.
TEST_F(ImagesCheckTest, LayersOfAnOlderBerthAreWholeInTheBootTheyAreMetIn) {
  const std::string tree = Tree(app_, 1);
  std::vector<state::v1::Layer> rows;
  ASSERT_TRUE(store_
                  ->ForEach(Table::kLayers,
                            [&](absl::string_view, absl::string_view data) {
                              EXPECT_TRUE(
                                  rows.emplace_back().ParseFromArray(data.data(), static_cast<int>(data.size())));
                              return absl::OkStatus();
                            })
                  .ok());
  images_.reset();
  Transaction older;
  for (state::v1::Layer& row : rows) {
    row.clear_boot_id();
    row.clear_fingerprint();
    older.Put(Table::kLayers, absl::StrCat(row.snapshotter(), " ", row.chain_id()), row);
  }
  ASSERT_TRUE(store_->Commit(older, Durability::kVolatile).ok());
  Boot("second boot");
  EXPECT_TRUE(images_->ChainKeys(app_, "fake").ok());
  EXPECT_TRUE(images_->ChainKeys(other_, "fake").ok());
  Stop();
  EXPECT_EQ(LookedAt().size(), 0u);
  Boot("third boot");
  EXPECT_TRUE(images_->ChainKeys(app_, "fake").ok());
  std::filesystem::remove(tree + "/a");
  Boot("fourth boot");
  EXPECT_TRUE(absl::IsNotFound(images_->ChainKeys(app_, "fake").status()));
}

// Each may have looked at some.
TEST_F(ImagesCheckTest, DaemonsThatEndSoonAfterABootHideNoDamage) {
  std::filesystem::remove(Tree(app_, 1) + "/a");
  for (int i = 0; i < 5; ++i) Boot("second boot");
  EXPECT_TRUE(absl::IsNotFound(images_->ChainKeys(app_, "fake").status()));
  EXPECT_TRUE(images_->ChainKeys(other_, "fake").ok());
}

}  // namespace
}  // namespace berth
