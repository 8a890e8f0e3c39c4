#include "plugins/snapshot_overlay/overlay_snapshotter.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "plugins/snapshot_overlay/test_directory.h"

namespace berth::snapshot_overlay {
namespace {

namespace fs = std::filesystem;
using sdk::Code;
using sdk::SnapshotKind;
using sdk::SnapshotState;

bool Never() { return false; }

sdk::SnapshotRequest Request(const std::string& key, SnapshotKind kind, std::vector<std::string> parents = {}) {
  sdk::SnapshotRequest request;
  request.key = key;
  request.kind = kind;
  request.parents = std::move(parents);
  return request;
}

class OverlaySnapshotterTest : public testing::Test {
 protected:
  OverlaySnapshotterTest() {
    auto opened = OverlaySnapshotter::Open(root());
    if (opened.ok()) {
      snapshots_ = *std::move(opened);
    } else {
      ADD_FAILURE() << opened.status().message();
    }
  }

  std::string root() const { return dir_.path() + "/var/snapshots"; }

  void MakeLayer(const std::string& key, std::vector<std::string> parents = {}) {
    const auto prepared = snapshots_->Prepare(Request(key, SnapshotKind::kLayer));
    ASSERT_TRUE(prepared.ok()) << prepared.status().message();
    const sdk::Status committed = snapshots_->Commit(key, parents);
    ASSERT_TRUE(committed.ok()) << committed.message();
  }

  std::map<std::string, SnapshotState> Walked() {
    std::map<std::string, SnapshotState> out;
    EXPECT_TRUE(snapshots_->Walk([&](const sdk::SnapshotInfo& info) { out[info.key] = info.state; }).ok());
    return out;
  }

  TestDirectory dir_;
  std::unique_ptr<OverlaySnapshotter> snapshots_;
};

TEST_F(OverlaySnapshotterTest, RootIsPrivateAndEmpty) {
  struct stat st;
  ASSERT_EQ(stat(root().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0700u);
  EXPECT_TRUE(Walked().empty());
}

TEST_F(OverlaySnapshotterTest, OpenRefusesWhatIsNoDirectoryOfItsOwn) {
  EXPECT_EQ(OverlaySnapshotter::Open("relative").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(OverlaySnapshotter::Open("//").status().code(), Code::kInvalidArgument);
  WriteTestFile(dir_.path() + "/file", "");
  const sdk::Status status = OverlaySnapshotter::Open(dir_.path() + "/file/root").status();
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find("/file"), std::string::npos) << status.message();
}

TEST_F(OverlaySnapshotterTest, LayerIsUnpackedThenCommitted) {
  const auto prepared = snapshots_->Prepare(Request("1", SnapshotKind::kLayer));
  ASSERT_TRUE(prepared.ok()) << prepared.status().message();
  struct stat st;
  ASSERT_EQ(fstat((*prepared).directory.get(), &st), 0);
  EXPECT_TRUE(S_ISDIR(st.st_mode));
  EXPECT_EQ(st.st_mode & 07777, 0755u);
  ASSERT_EQ(mkdirat((*prepared).directory.get(), "bin", 0755), 0);
  EXPECT_EQ((*snapshots_->Stat("1")).state, SnapshotState::kActive);

  EXPECT_TRUE(snapshots_->Commit("1", {}).ok());
  EXPECT_TRUE(snapshots_->Commit("1", {}).ok()) << "idempotent";
  EXPECT_EQ((*snapshots_->Stat("1")).state, SnapshotState::kCommitted);
  EXPECT_TRUE(fs::exists(root() + "/layers/1/fs/bin"));
  EXPECT_EQ(Walked(), (std::map<std::string, SnapshotState>{{"1", SnapshotState::kCommitted}}));
}

TEST_F(OverlaySnapshotterTest, ParentsMatterAtCommit) {
  ASSERT_TRUE(snapshots_->Prepare(Request("2", SnapshotKind::kLayer)).ok());
  EXPECT_EQ(snapshots_->Commit("2", {"1"}).code(), Code::kNotFound);
  MakeLayer("1");
  EXPECT_TRUE(snapshots_->Commit("2", {"1"}).ok());
}

TEST_F(OverlaySnapshotterTest, KeysInUseAndUnknownParentsAreRefused) {
  MakeLayer("1");
  EXPECT_EQ(snapshots_->Prepare(Request("1", SnapshotKind::kLayer)).status().code(), Code::kAlreadyExists);
  EXPECT_EQ(snapshots_->Prepare(Request("1", SnapshotKind::kContainer)).status().code(), Code::kAlreadyExists);
  ASSERT_TRUE(snapshots_->Prepare(Request("2", SnapshotKind::kContainer, {"1"})).ok());
  EXPECT_EQ(snapshots_->Prepare(Request("2", SnapshotKind::kContainer, {"1"})).status().code(), Code::kAlreadyExists);
  EXPECT_EQ(snapshots_->Prepare(Request("3", SnapshotKind::kContainer, {"nope"})).status().code(), Code::kNotFound);
  EXPECT_EQ(snapshots_->Prepare(Request("3", SnapshotKind::kView, {"2"})).status().code(), Code::kNotFound);
  EXPECT_EQ(snapshots_->Prepare(Request("../3", SnapshotKind::kView)).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(snapshots_->Prepare(Request("3", static_cast<SnapshotKind>(7))).status().code(), Code::kInvalidArgument);
  EXPECT_FALSE(snapshots_->Stat("3").ok()) << "a refused request leaves nothing";
}

TEST_F(OverlaySnapshotterTest, WhatItCannotDoIsRefused) {
  auto mapped = Request("1", SnapshotKind::kLayer);
  mapped.uid_map = {{0, 100000, 65536}};
  EXPECT_FALSE(snapshots_->Prepare(mapped).ok());
  auto limited = Request("1", SnapshotKind::kContainer);
  limited.quota_bytes = 1;
  EXPECT_EQ(snapshots_->Prepare(limited).status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(snapshots_->Stat("1").status().code(), Code::kNotFound);
}

TEST_F(OverlaySnapshotterTest, AContainerIsNeverCommitted) {
  ASSERT_TRUE(snapshots_->Prepare(Request("1", SnapshotKind::kContainer)).ok());
  EXPECT_EQ(snapshots_->Commit("1", {}).code(), Code::kFailedPrecondition);
  EXPECT_EQ(snapshots_->Commit("nope", {}).code(), Code::kNotFound);
}

TEST_F(OverlaySnapshotterTest, ContainerRootLooksLikeTheImages) {
  const auto prepared = snapshots_->Prepare(Request("1", SnapshotKind::kLayer));
  ASSERT_EQ(fchown((*prepared).directory.get(), 12, 34), 0);
  ASSERT_EQ(fchmod((*prepared).directory.get(), 01777), 0);
  ASSERT_TRUE(snapshots_->Commit("1", {}).ok());
  ASSERT_TRUE(snapshots_->Prepare(Request("2", SnapshotKind::kContainer, {"1"})).ok());
  struct stat st;
  ASSERT_EQ(stat((root() + "/active/2/fs").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 01777u);
  EXPECT_EQ(st.st_uid, 12u);
  EXPECT_EQ(st.st_gid, 34u);
}

TEST_F(OverlaySnapshotterTest, MountsAreTheSameAfterARestart) {
  MakeLayer("1");
  MakeLayer("2", {"1"});
  const auto request = Request("3", SnapshotKind::kContainer, {"2", "1"});
  const auto prepared = snapshots_->Prepare(request);
  ASSERT_TRUE(prepared.ok());
  auto again = OverlaySnapshotter::Open(root());
  ASSERT_TRUE(again.ok());
  const auto mounts = (*again)->Mounts(request);
  ASSERT_TRUE(mounts.ok()) << mounts.status().message();
  EXPECT_EQ((*mounts)[0].options, (*prepared).mounts[0].options);
  EXPECT_EQ((*again)->Mounts(Request("4", SnapshotKind::kContainer, {"1"})).status().code(), Code::kNotFound);
  EXPECT_EQ((*again)->Mounts(Request("1", SnapshotKind::kLayer)).status().code(), Code::kInvalidArgument);
}

TEST_F(OverlaySnapshotterTest, RemovedIsGoneAtOnceAndFreedByCleanup) {
  MakeLayer("1");
  ASSERT_TRUE(snapshots_->Prepare(Request("2", SnapshotKind::kContainer, {"1"})).ok());
  for (const char* key : {"1", "2"}) {
    EXPECT_TRUE(snapshots_->Remove(key).ok());
    EXPECT_EQ(snapshots_->Remove(key).code(), Code::kNotFound);
    EXPECT_EQ(snapshots_->Stat(key).status().code(), Code::kNotFound);
  }
  EXPECT_TRUE(Walked().empty());
  EXPECT_FALSE(fs::is_empty(root() + "/trash"));
  const sdk::Status cleaned = snapshots_->Cleanup(Never);
  EXPECT_TRUE(cleaned.ok()) << cleaned.message();
  EXPECT_TRUE(fs::is_empty(root() + "/trash"));
  EXPECT_EQ(std::distance(fs::directory_iterator(root()), fs::directory_iterator()), 3);
}

TEST_F(OverlaySnapshotterTest, UsageIsOfTheSnapshotAlone) {
  const auto prepared = snapshots_->Prepare(Request("1", SnapshotKind::kLayer));
  WriteTestFile(root() + "/active/1/fs/big", std::string(1 << 20, 'x'));
  ASSERT_TRUE(snapshots_->Commit("1", {}).ok());
  ASSERT_TRUE(snapshots_->Prepare(Request("2", SnapshotKind::kContainer, {"1"})).ok());
  const auto layer = snapshots_->Usage("1", Never), container = snapshots_->Usage("2", Never);
  ASSERT_TRUE(layer.ok() && container.ok());
  EXPECT_GE((*layer).bytes, 1u << 20);
  EXPECT_EQ((*layer).inodes, 2u);
  EXPECT_LT((*container).bytes, 1u << 16);
  EXPECT_EQ((*container).inodes, 1u);
  EXPECT_EQ(snapshots_->Usage("3", Never).status().code(), Code::kNotFound);
}

TEST_F(OverlaySnapshotterTest, ProbesThatNobodyMakesAnyMoreAreFreed) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const auto make = [&](const std::string& name, time_t seconds) {
    fs::create_directories(root() + "/" + name + "/lower");
    const timespec times[2] = {{seconds, 0}, {seconds, 0}};
    ASSERT_EQ(utimensat(AT_FDCWD, (root() + "/" + name).c_str(), times, 0), 0);
  };
  const std::string living = "probe-" + std::to_string(getppid()) + "-";
  make(living + "now", now.tv_sec);
  make(living + "ten-minutes-ago", now.tv_sec - 600);
  make("probe-999999999-of-no-process", now.tv_sec);
  ASSERT_TRUE(snapshots_->Cleanup(Never).ok());
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator(root())) {
    if (entry.path().filename().string().starts_with("probe-")) left.push_back(entry.path().filename());
  }
  EXPECT_EQ(left, std::vector<std::string>{living + "now"});
}

TEST_F(OverlaySnapshotterTest, WhatACrashLeftIsSeenAndRemovable) {
  fs::create_directories(root() + "/active/5");     // before its tree was made
  fs::create_directories(root() + "/active/6/fs");  // a container before its work directory
  fs::create_directories(root() + "/active/lost+found");
  EXPECT_EQ(snapshots_->Mounts(Request("6", SnapshotKind::kContainer)).status().code(), Code::kNotFound);
  EXPECT_EQ(snapshots_->Commit("5", {}).code(), Code::kNotFound);
  for (const auto& [key, state] : Walked()) {
    EXPECT_EQ(state, SnapshotState::kActive);
    EXPECT_TRUE(snapshots_->Remove(key).ok()) << key;
  }
  EXPECT_TRUE(Walked().empty());
  EXPECT_TRUE(snapshots_->Cleanup(Never).ok());
}

TEST(OverlaySnapshotter, AFullDiskLeavesNothingHalfMade) {
  TestDirectory dir;
  InMountNamespace([&] {
    ASSERT_EQ(mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "nr_inodes=24"), 0);
    auto opened = OverlaySnapshotter::Open(dir.path() + "/root");
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    ASSERT_TRUE((*opened)->Cleanup(Never).ok());
    sdk::Status status;
    int made = 0;
    while (status.ok() && made < 100) {
      const auto prepared = (*opened)->Prepare(Request(std::to_string(made), SnapshotKind::kContainer));
      status = prepared.status();
      if (status.ok()) ++made;
    }
    EXPECT_EQ(status.code(), Code::kResourceExhausted) << status.message();
    EXPECT_NE(status.message().find("No space left on device"), std::string::npos) << status.message();
    int walked = 0;
    EXPECT_TRUE((*opened)->Walk([&](const sdk::SnapshotInfo&) { ++walked; }).ok());
    EXPECT_EQ(walked, made);
    // Removing takes no space.
    EXPECT_TRUE((*opened)->Remove("0").ok());
    EXPECT_TRUE((*opened)->Cleanup(Never).ok());
    EXPECT_TRUE((*opened)->Prepare(Request("x", SnapshotKind::kContainer)).ok());
  });
}

TEST(OverlaySnapshotter, AReadOnlyFileSystemIsNamed) {
  TestDirectory dir;
  InMountNamespace([&] {
    ASSERT_EQ(mount("tmpfs", dir.path().c_str(), "tmpfs", 0, ""), 0);
    auto opened = OverlaySnapshotter::Open(dir.path() + "/root");
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    ASSERT_EQ(mount("", dir.path().c_str(), "", MS_REMOUNT | MS_RDONLY, ""), 0);
    const sdk::Status prepared = (*opened)->Prepare(Request("1", SnapshotKind::kContainer)).status();
    EXPECT_EQ(prepared.code(), Code::kFailedPrecondition);
    EXPECT_NE(prepared.message().find("Read-only file system"), std::string::npos) << prepared.message();
    EXPECT_EQ(OverlaySnapshotter::Open(dir.path() + "/root").status().code(), Code::kFailedPrecondition);
    EXPECT_EQ(OverlaySnapshotter::Open(dir.path() + "/other").status().code(), Code::kFailedPrecondition);
  });
}

TEST(OverlaySnapshotter, SaysWhatAFileSystemLacks) {
  TestDirectory dir;
  InMountNamespace([&] {
    // The container that runs a test may itself be on an overlay; this one certainly is.
    for (const char* name : {"/l", "/u", "/w", "/m"}) std::filesystem::create_directory(dir.path() + name);
    const std::string options =
        "lowerdir=" + dir.path() + "/l,upperdir=" + dir.path() + "/u,workdir=" + dir.path() + "/w";
    ASSERT_EQ(mount("overlay", (dir.path() + "/m").c_str(), "overlay", 0, options.c_str()), 0);
    const sdk::Status status = OverlaySnapshotter::Open(dir.path() + "/m/root").status();
    EXPECT_EQ(status.code(), Code::kFailedPrecondition);
    EXPECT_NE(status.message().find("upper layers"), std::string::npos) << status.message();
    EXPECT_EQ(umount((dir.path() + "/m").c_str()), 0);
  });
}

}  // namespace
}  // namespace berth::snapshot_overlay
