#include "core/plugin/conformance/snapshotter_suite.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "core/plugin/conformance/rootfs.h"

namespace berth {
namespace {

namespace fs = std::filesystem;
using Code = absl::StatusCode;
using Keys = std::map<std::string, SnapshotState>;

void Write(const std::string& path, const std::string& text) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  EXPECT_TRUE(file.good()) << path;
}

std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return "(none)";
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

// What the unpacker does for a whiteout and for an opaque directory.
void Delete(const std::string& path, WhiteoutStyle style) {
  if (style == WhiteoutStyle::kNone) {
    fs::remove_all(path);
    return;
  }
  fs::create_directories(fs::path(path).parent_path());
  EXPECT_EQ(mknod(path.c_str(), S_IFCHR, makedev(0, 0)), 0) << path << ": " << strerror(errno);
}
void MakeOpaque(const std::string& directory, WhiteoutStyle style) {
  if (style == WhiteoutStyle::kNone) fs::remove_all(directory);
  fs::create_directories(directory);
  if (style == WhiteoutStyle::kNone) return;
  EXPECT_EQ(setxattr(directory.c_str(), "trusted.overlay.opaque", "y", 1, 0), 0) << strerror(errno);
}

std::vector<std::string> Texts(const std::vector<RootfsMount>& mounts) {
  std::vector<std::string> out;
  for (const RootfsMount& m : mounts) {
    std::string text = m.type + " " + m.source + " " + m.target;
    for (const std::string& option : m.options) text += " " + option;
    out.push_back(text);
  }
  return out;
}

}  // namespace

SnapshotterSuite::SnapshotterSuite() : plugin_(GetParam().so) {}

void SnapshotterSuite::SetUp() {
  Restart();
  fs::create_directories(plugin_.scratch() + "/rootfs");
}

void SnapshotterSuite::Restart() {
  snapshotter_.reset();
  auto made = plugin_.plugins().MakeSnapshotter(plugin_.name(), GetParam().config(plugin_.scratch()));
  ASSERT_TRUE(made.ok()) << made.status();
  snapshotter_ = *std::move(made);
}

absl::StatusOr<PreparedSnapshot> SnapshotterSuite::Prepare(const std::string& key, SnapshotKind kind,
                                                           const std::vector<std::string>& parents) {
  SnapshotRequest request;
  request.key = key;
  request.kind = kind;
  request.parents = parents;
  return snapshotter_->Prepare(Call(), request);
}

void SnapshotterSuite::MakeLayer(const std::string& key, const std::vector<std::string>& parents, const Fill& fill) {
  const bool late = Has(kParentAtCommit);
  const auto prepared = Prepare(key, SnapshotKind::kLayer, late ? std::vector<std::string>() : parents);
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  if (fill) fill("/proc/self/fd/" + std::to_string(prepared->directory.get()), prepared->whiteouts);
  const absl::Status committed = snapshotter_->Commit(Call(), key, parents);
  ASSERT_TRUE(committed.ok()) << committed;
}

Keys SnapshotterSuite::Walk() {
  Keys out;
  const absl::Status status = snapshotter_->Walk(Call(), [&](const SnapshotInfo& info) {
    EXPECT_TRUE(out.emplace(info.key, info.state).second) << info.key << " twice";
  });
  EXPECT_TRUE(status.ok()) << status;
  return out;
}

void SnapshotterSuite::Look(const std::vector<RootfsMount>& mounts,
                            const std::function<void(const std::string& rootfs)>& look) {
  const std::string rootfs = plugin_.scratch() + "/rootfs";
  InRootfs(mounts, rootfs, [&] { look(rootfs); });
}

TEST_P(SnapshotterSuite, RootIsADirectory) { EXPECT_TRUE(fs::is_directory(snapshotter_->root())); }

TEST_P(SnapshotterSuite, StartsEmpty) { EXPECT_EQ(Walk(), Keys()); }

TEST_P(SnapshotterSuite, ALayerIsUnpackedThenCommitted) {
  const auto prepared = Prepare("a1", SnapshotKind::kLayer);
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  Write("/proc/self/fd/" + std::to_string(prepared->directory.get()) + "/file", "text");
  auto info = snapshotter_->Stat(Call(), "a1");
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->state, SnapshotState::kActive);
  EXPECT_TRUE(snapshotter_->Commit(Call(), "a1", {}).ok());
  info = snapshotter_->Stat(Call(), "a1");
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->state, SnapshotState::kCommitted);
  EXPECT_TRUE(snapshotter_->Commit(Call(), "a1", {}).ok()) << "commit is idempotent";
}

TEST_P(SnapshotterSuite, AKeyIsUsedOnce) {
  ASSERT_TRUE(Prepare("a1", SnapshotKind::kLayer).ok());
  for (const SnapshotKind kind : {SnapshotKind::kLayer, SnapshotKind::kContainer, SnapshotKind::kView}) {
    EXPECT_EQ(Prepare("a1", kind).status().code(), Code::kAlreadyExists);
  }
  ASSERT_TRUE(snapshotter_->Commit(Call(), "a1", {}).ok());
  EXPECT_EQ(Prepare("a1", SnapshotKind::kLayer).status().code(), Code::kAlreadyExists);
  EXPECT_EQ(Prepare("a1", SnapshotKind::kContainer).status().code(), Code::kAlreadyExists);
}

TEST_P(SnapshotterSuite, UnknownKeysAreNotFound) {
  EXPECT_EQ(snapshotter_->Stat(Call(), "nix").status().code(), Code::kNotFound);
  EXPECT_EQ(snapshotter_->Usage(Call(), "nix").status().code(), Code::kNotFound);
  EXPECT_EQ(snapshotter_->Commit(Call(), "nix", {}).code(), Code::kNotFound);
  EXPECT_EQ(snapshotter_->Remove(Call(), "nix").code(), Code::kNotFound);
  SnapshotRequest request;
  request.key = "nix";
  request.kind = SnapshotKind::kContainer;
  EXPECT_EQ(snapshotter_->Mounts(Call(), request).status().code(), Code::kNotFound);
  EXPECT_EQ(Walk(), Keys());
}

TEST_P(SnapshotterSuite, AParentMustBeACommittedLayer) {
  EXPECT_EQ(Prepare("c1", SnapshotKind::kContainer, {"nix"}).status().code(), Code::kNotFound);
  EXPECT_EQ(Prepare("v1", SnapshotKind::kView, {"nix"}).status().code(), Code::kNotFound);
  ASSERT_TRUE(Prepare("a1", SnapshotKind::kLayer).ok());
  EXPECT_FALSE(Prepare("c1", SnapshotKind::kContainer, {"a1"}).ok()) << "it is not committed";
  EXPECT_EQ(Walk(), (Keys{{"a1", SnapshotState::kActive}})) << "a failed prepare leaves nothing";
}

TEST_P(SnapshotterSuite, BadKeysAreRefused) {
  for (const std::string& key : {std::string(), std::string(".."), std::string("a/b"), std::string("A"),
                                 std::string("a\0b", 3), std::string(33, 'a')}) {
    EXPECT_EQ(Prepare(key, SnapshotKind::kLayer).status().code(), Code::kInvalidArgument) << key;
    EXPECT_FALSE(snapshotter_->Remove(Call(), key).ok()) << key;
    EXPECT_FALSE(Prepare("c1", SnapshotKind::kContainer, {key}).ok()) << key;
  }
  EXPECT_EQ(Walk(), Keys());
}

TEST_P(SnapshotterSuite, WhatIsRemovedIsGone) {
  MakeLayer("a1", {}, [](const std::string& at, WhiteoutStyle) { Write(at + "/d/file", "text"); });
  ASSERT_TRUE(Prepare("a2", SnapshotKind::kLayer).ok());
  ASSERT_TRUE(Prepare("c1", SnapshotKind::kContainer, {"a1"}).ok());
  ASSERT_TRUE(Prepare("v1", SnapshotKind::kView, {"a1"}).ok());
  EXPECT_EQ(Walk(), (Keys{{"a1", SnapshotState::kCommitted},
                          {"a2", SnapshotState::kActive},
                          {"c1", SnapshotState::kActive},
                          {"v1", SnapshotState::kActive}}));
  for (const char* key : {"c1", "v1", "a2", "a1"}) {
    const absl::Status removed = snapshotter_->Remove(Call(), key);
    EXPECT_TRUE(removed.ok()) << removed;
    EXPECT_EQ(snapshotter_->Stat(Call(), key).status().code(), Code::kNotFound);
    EXPECT_EQ(snapshotter_->Remove(Call(), key).code(), Code::kNotFound);
  }
  EXPECT_EQ(Walk(), Keys());
  const absl::Status cleaned = snapshotter_->Cleanup(Call());
  EXPECT_TRUE(cleaned.ok()) << cleaned;
  for (const auto& entry : fs::recursive_directory_iterator(snapshotter_->root())) {
    EXPECT_NE(entry.path().filename(), "file") << "cleanup frees the space of what was removed: " << entry.path();
  }
}

TEST_P(SnapshotterSuite, UsageCountsASnapshotsOwnFiles) {
  MakeLayer("a1", {}, [](const std::string& at, WhiteoutStyle) { Write(at + "/big", std::string(1 << 20, 'x')); });
  const auto layer = snapshotter_->Usage(Call(), "a1");
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_GE(layer->bytes, 1u << 20);
  EXPECT_LT(layer->bytes, 2u << 20);
  EXPECT_GE(layer->inodes, 1u);
  EXPECT_LT(layer->inodes, 10u);
}

// Where it is known at all.
TEST_P(SnapshotterSuite, TheFingerprintOfALayerIsThatOfItsTree) {
  const auto fill = [](const std::string& at, WhiteoutStyle) { Write(at + "/d/file", "text"); };
  MakeLayer("a1", {}, fill);
  MakeLayer("a2", {}, fill);
  MakeLayer("a3", {}, [](const std::string& at, WhiteoutStyle) { Write(at + "/d/file", "tex"); });
  std::map<std::string, uint64_t> found;
  for (const char* key : {"a1", "a2", "a3"}) {
    const auto usage = snapshotter_->Usage(Call(), key);
    ASSERT_TRUE(usage.ok()) << usage.status();
    found[key] = usage->fingerprint;
  }
  if (found["a1"] == 0) GTEST_SKIP() << "it has none";
  EXPECT_EQ(found["a1"], found["a2"]);
  EXPECT_NE(found["a1"], found["a3"]);
  Restart();
  EXPECT_EQ(snapshotter_->Usage(Call(), "a1")->fingerprint, found["a1"]);
}

TEST_P(SnapshotterSuite, LayersCoverEachOther) {
  MakeLayer("a1", {}, [](const std::string& at, WhiteoutStyle) {
    Write(at + "/kept", "1");
    Write(at + "/changed", "1");
    Write(at + "/deleted", "1");
    Write(at + "/opaque/old", "1");
  });
  MakeLayer("a2", {"a1"}, [](const std::string& at, WhiteoutStyle style) {
    Write(at + "/changed", "2");
    Delete(at + "/deleted", style);
    MakeOpaque(at + "/opaque", style);
    Write(at + "/opaque/new", "2");
  });
  const auto container = Prepare("c1", SnapshotKind::kContainer, {"a2", "a1"});
  ASSERT_TRUE(container.ok()) << container.status();
  Look(container->mounts, [](const std::string& rootfs) {
    EXPECT_EQ(Read(rootfs + "/kept"), "1");
    EXPECT_EQ(Read(rootfs + "/changed"), "2");
    EXPECT_EQ(Read(rootfs + "/deleted"), "(none)");
    EXPECT_FALSE(fs::exists(rootfs + "/deleted"));
    EXPECT_FALSE(fs::exists(rootfs + "/opaque/old"));
    EXPECT_EQ(Read(rootfs + "/opaque/new"), "2");
  });
}

TEST_P(SnapshotterSuite, AContainerWritesForItselfAlone) {
  MakeLayer("a1", {}, [](const std::string& at, WhiteoutStyle) {
    Write(at + "/file", "layer");
    Write(at + "/doomed", "layer");
  });
  const auto first = Prepare("c1", SnapshotKind::kContainer, {"a1"});
  const auto second = Prepare("c2", SnapshotKind::kContainer, {"a1"});
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  Look(first->mounts, [](const std::string& rootfs) {
    Write(rootfs + "/file", "container");
    Write(rootfs + "/new", "container");
    fs::remove(rootfs + "/doomed");
  });
  Look(second->mounts, [](const std::string& rootfs) {
    EXPECT_EQ(Read(rootfs + "/file"), "layer");
    EXPECT_EQ(Read(rootfs + "/doomed"), "layer");
    EXPECT_FALSE(fs::exists(rootfs + "/new"));
  });
  Look(first->mounts, [](const std::string& rootfs) {
    EXPECT_EQ(Read(rootfs + "/file"), "container") << "what a container wrote stays";
    EXPECT_EQ(Read(rootfs + "/new"), "container");
    EXPECT_FALSE(fs::exists(rootfs + "/doomed"));
  });
}

TEST_P(SnapshotterSuite, AViewIsReadOnly) {
  MakeLayer("a1", {}, [](const std::string& at, WhiteoutStyle) { Write(at + "/one", "1"); });
  MakeLayer("a2", {"a1"}, [](const std::string& at, WhiteoutStyle) { Write(at + "/two", "2"); });
  const auto of_one = Prepare("v1", SnapshotKind::kView, {"a1"});
  const auto of_two = Prepare("v2", SnapshotKind::kView, {"a2", "a1"});
  ASSERT_TRUE(of_one.ok() && of_two.ok()) << of_one.status() << of_two.status();
  const auto look = [](const std::string& rootfs) {
    EXPECT_EQ(Read(rootfs + "/one"), "1");
    EXPECT_EQ(open((rootfs + "/new").c_str(), O_WRONLY | O_CREAT, 0600), -1);
    EXPECT_EQ(errno, EROFS);
  };
  Look(of_one->mounts, look);
  Look(of_two->mounts, [&](const std::string& rootfs) {
    look(rootfs);
    EXPECT_EQ(Read(rootfs + "/two"), "2");
  });
}

TEST_P(SnapshotterSuite, AContainerWithoutLayersIsEmptyAndWritable) {
  const auto container = Prepare("c1", SnapshotKind::kContainer);
  ASSERT_TRUE(container.ok()) << container.status();
  Look(container->mounts, [](const std::string& rootfs) {
    EXPECT_TRUE(fs::is_empty(rootfs));
    Write(rootfs + "/file", "x");
  });
}

TEST_P(SnapshotterSuite, EverythingIsThereAfterARestart) {
  MakeLayer("a1", {}, [](const std::string& at, WhiteoutStyle) { Write(at + "/file", "layer"); });
  ASSERT_TRUE(Prepare("a2", SnapshotKind::kLayer).ok());
  SnapshotRequest request;
  request.key = "c1";
  request.kind = SnapshotKind::kContainer;
  request.parents = {"a1"};
  const auto before = snapshotter_->Prepare(Call(), request);
  ASSERT_TRUE(before.ok()) << before.status();
  const Keys keys = Walk();
  Restart();
  EXPECT_EQ(Walk(), keys);
  const auto after = snapshotter_->Mounts(Call(), request);
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(Texts(*after), Texts(before->mounts));
  const absl::Status cleaned = snapshotter_->Cleanup(Call());
  EXPECT_TRUE(cleaned.ok()) << cleaned;
  EXPECT_EQ(Walk(), keys) << "cleanup touches nothing that is in use";
  Look(*after, [](const std::string& rootfs) { EXPECT_EQ(Read(rootfs + "/file"), "layer"); });
}

TEST_P(SnapshotterSuite, LayersOfAnImageAreUnpackedAtTheSameTime) {
  if (!Has(kParentAtCommit)) GTEST_SKIP() << "this snapshotter needs parents at prepare";
  const auto upper = Prepare("a2", SnapshotKind::kLayer), lower = Prepare("a1", SnapshotKind::kLayer);
  ASSERT_TRUE(upper.ok() && lower.ok()) << upper.status() << lower.status();
  Write("/proc/self/fd/" + std::to_string(upper->directory.get()) + "/file", "upper");
  Write("/proc/self/fd/" + std::to_string(lower->directory.get()) + "/file", "lower");
  EXPECT_FALSE(snapshotter_->Commit(Call(), "a2", {"nix"}).ok());
  ASSERT_TRUE(snapshotter_->Commit(Call(), "a1", {}).ok());
  ASSERT_TRUE(snapshotter_->Commit(Call(), "a2", {"a1"}).ok());
  const auto view = Prepare("v1", SnapshotKind::kView, {"a2", "a1"});
  ASSERT_TRUE(view.ok()) << view.status();
  Look(view->mounts, [](const std::string& rootfs) { EXPECT_EQ(Read(rootfs + "/file"), "upper"); });
}

TEST_P(SnapshotterSuite, MappingsAndQuotasAreHonouredOrRefused) {
  SnapshotRequest request;
  request.key = "c1";
  request.kind = SnapshotKind::kContainer;
  request.uid_map = request.gid_map = {{0, 100000, 65536}};
  if (!Has(kIdMapped)) {
    EXPECT_FALSE(snapshotter_->Prepare(Call(), request).ok()) << "ids are not mapped, and nobody is told";
  }
  request.uid_map.clear();
  request.gid_map.clear();
  request.quota_bytes = 1 << 20;
  if (!Has(kQuota)) {
    EXPECT_FALSE(snapshotter_->Prepare(Call(), request).ok()) << "there is no quota, and nobody is told";
  }
}

TEST_P(SnapshotterSuite, ACancelledCallIsDoneOrUndone) {
  const UniqueFd cancel(eventfd(1, EFD_CLOEXEC));
  Call call;
  call.cancel_fd = cancel.get();
  SnapshotRequest request;
  request.key = "a1";
  const auto prepared = snapshotter_->Prepare(call, request);
  EXPECT_EQ(Walk().count("a1"), prepared.ok() ? 1u : 0u);
  EXPECT_TRUE(prepared.ok() || prepared.status().code() == Code::kCancelled) << prepared.status();
}

TEST_P(SnapshotterSuite, KeysDoNotDisturbEachOther) {
  MakeLayer("base", {}, [](const std::string& at, WhiteoutStyle) { Write(at + "/file", "x"); });
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 20; ++i) {
        const std::string key = "k" + std::to_string(t) + "x" + std::to_string(i);
        const auto prepared = Prepare(key, i % 2 == 0 ? SnapshotKind::kContainer : SnapshotKind::kView, {"base"});
        EXPECT_TRUE(prepared.ok()) << prepared.status();
        EXPECT_TRUE(snapshotter_->Stat(Call(), key).ok());
        EXPECT_TRUE(snapshotter_->Usage(Call(), key).ok());
        EXPECT_TRUE(snapshotter_->Remove(Call(), key).ok());
      }
    });
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(snapshotter_->Walk(Call(), [](const SnapshotInfo&) {}).ok());
    EXPECT_TRUE(snapshotter_->Cleanup(Call()).ok());
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Walk(), (Keys{{"base", SnapshotState::kCommitted}}));
}

TEST_P(SnapshotterSuite, UnknownConfigurationIsReported) {
  snapshotter_.reset();
  ExpectUnknownKeyReported(plugin_, GetParam().config, [this](const ConfigValue::Table& config) {
    return plugin_.plugins().MakeSnapshotter(plugin_.name(), config).status();
  });
}

}  // namespace berth
