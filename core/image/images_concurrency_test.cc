// Pulls, removals and pins that meet.
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/failpoint.h"
#include "core/image/images.h"
#include "core/image/testing/images_fixture.h"

namespace berth {
namespace {

constexpr char kApp[] = "docker.io/library/app:latest";

class ImagesConcurrencyTest : public ImagesFixture {};

// Everybody sees the image before its pull has let go of the layers.
TEST_F(ImagesConcurrencyTest, AnImageRemovedBeforeItsPullHasEndedLeavesNothing) {
  content_.AddImage(kApp, {Tar("a"), Tar("b")});
  ASSERT_TRUE(SetFailpoints("image.pull.recorded=sleep(300)").ok());
  std::thread pulling([this] { EXPECT_TRUE(Pull("app").ok()); });
  while (images_->Status("app") == nullptr) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(images_->Remove(Call(), "app").ok());
  pulling.join();
  ASSERT_TRUE(SetFailpoints("").ok());
  EXPECT_EQ(images_->List().size(), 0u);
  ExpectClean(0);
}

TEST_F(ImagesConcurrencyTest, APullAfterTheRemovalIsNoPartOfTheOneBefore) {
  content_.AddImage(kApp, {Tar("a"), Tar("b")});
  ASSERT_TRUE(SetFailpoints("image.pull.recorded=1*sleep(300)").ok());
  std::thread pulling([this] { EXPECT_TRUE(Pull("app").ok()); });
  while (images_->Status("app") == nullptr) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(images_->Remove(Call(), "app").ok());
  EXPECT_TRUE(Pull("app").ok());
  EXPECT_NE(images_->Status("app"), nullptr);
  pulling.join();
  ASSERT_TRUE(SetFailpoints("").ok());
  EXPECT_NE(images_->Status("app"), nullptr);
  ExpectClean(2);
}

TEST_F(ImagesConcurrencyTest, ManyPullsRemovalsAndPinsAtOnce) {
  for (int i = 0; i < 4; ++i)
    content_.AddImage(absl::StrCat("docker.io/library/i", i, ":latest"), {Tar("base"), Tar(absl::StrCat("l", i))});
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      const std::string name = absl::StrCat("i", t % 4), owner = absl::StrCat("c", t);
      for (int round = 0; round < 10; ++round) {
        EXPECT_TRUE(Pull(name).ok());
        const auto pinned = images_->Pin(owner, name);
        if (pinned.ok()) {
          EXPECT_EQ(images_->ChainKeys((*pinned)->id, "fake")->size(), 2u);
        }
        EXPECT_TRUE(images_->Remove(Call(), name).ok());
        if (pinned.ok()) {
          EXPECT_EQ(images_->ChainKeys((*pinned)->id, "fake")->size(), 2u);
        }
        images_->Unpin(owner);
        (void)images_->List();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(images_->List().size(), 0u);
  ExpectClean(0);
}

}  // namespace
}  // namespace berth
