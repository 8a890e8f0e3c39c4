// Images over a real store, a fake registry and a fake snapshotter, with the worker on a thread.
#ifndef BERTH_CORE_IMAGE_TESTING_IMAGES_FIXTURE_H_
#define BERTH_CORE_IMAGE_TESTING_IMAGES_FIXTURE_H_

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/image/images.h"
#include "core/image/pull_worker.h"
#include "core/image/testing/fakes.h"
#include "core/image/testing/tar_builder.h"
#include "core/store/store.h"
#include "gtest/gtest.h"

namespace berth {

class ImagesFixture : public testing::Test {
 protected:
  void SetUp() override {
    const char* base = getenv("TEST_TMPDIR");
    std::string pattern = absl::StrCat(base == nullptr ? "/tmp" : base, "/images.XXXXXX");
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    top_ = pattern;
    ASSERT_TRUE(MakeDirs(top_ + "/snapshots").ok());
    ASSERT_TRUE(MakeDirs(top_ + "/second").ok());
    Start();
  }

  void TearDown() override {
    images_.reset();
    store_.reset();
    EXPECT_TRUE(RemoveTree(top_).ok());
  }

  // As a daemon does; again after Stop.
  void Start(const std::set<std::string>& container_keys = {}) {
    snapshotter_ = std::make_unique<FakeSnapshotter>(top_ + "/snapshots", parent_at_commit_);
    snapshotter_->on_usage = on_usage_;
    auto store = Store::Open(top_ + "/meta.db");
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    ImagesOptions options;
    options.snapshotters["fake"] = snapshotter_.get();
    if (with_second_) {
      second_ = std::make_unique<FakeSnapshotter>(top_ + "/second", /*parent_at_commit=*/false);
      options.snapshotters["second"] = second_.get();
    }
    options.store = store_.get();
    options.registries = {{"first", "{}"}};
    options.launch_worker = launcher_ != nullptr ? launcher_ : LaunchWorkerThread([this](UniqueFd control) {
      (void)RunPullWorker(std::move(control),
                          [this](const RegistryPlugins&, size_t) -> absl::StatusOr<std::shared_ptr<ImageRegistry>> {
                            return std::make_shared<FakeRegistry>(&content_);
                          });
    });
    options.progress_timeout_ns = progress_timeout_ns_;
    options.max_layer_bytes = max_layer_bytes_;
    options.pinned = {"pause:1"};
    options.boot_id = boot_id_;
    auto images = Images::Open(std::move(options));
    ASSERT_TRUE(images.ok()) << images.status();
    images_ = *std::move(images);
    for (const auto& [owner, image] : pins_) ASSERT_TRUE(images_->Pin(owner, image).ok());
    const absl::Status recovered = images_->Recover(Call(), container_keys);
    ASSERT_TRUE(recovered.ok()) << recovered;
  }

  void Stop() {
    images_.reset();
    store_.reset();
  }

  absl::StatusOr<std::string> Pull(const std::string& reference, const Call& call = {}) {
    ImagePullRequest request;
    request.reference = reference;
    request.snapshotters = snapshotters_;
    return images_->Pull(call, request);
  }

  std::string Tar(const std::string& name) { return TarBuilder().File(name, "contents of " + name).Build(); }

  // Snapshots are the layers', and no intent is open.
  void ExpectClean(size_t layers) {
    EXPECT_EQ(snapshotter_->Keys().size(), layers);
    int intents = 0;
    EXPECT_TRUE(store_
                    ->ForEach(Table::kIntents,
                              [&](absl::string_view, absl::string_view) {
                                ++intents;
                                return absl::OkStatus();
                              })
                    .ok());
    EXPECT_EQ(intents, 0);
  }

  std::string top_;
  bool parent_at_commit_ = true;
  std::string boot_id_ = "first boot";
  std::function<void(const std::string& key)> on_usage_;
  int64_t progress_timeout_ns_ = 20'000'000'000;
  uint64_t max_layer_bytes_ = 1 << 30;
  WorkerLauncher launcher_;
  std::vector<std::pair<std::string, std::string>> pins_;
  FakeContent content_;
  std::unique_ptr<FakeSnapshotter> snapshotter_, second_;
  bool with_second_ = false;                          // Start also makes the snapshotter "second"
  std::vector<std::string> snapshotters_ = {"fake"};  // of Pull
  std::unique_ptr<Store> store_;
  std::unique_ptr<Images> images_;
};

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_TESTING_IMAGES_FIXTURE_H_
