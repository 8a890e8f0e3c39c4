// The mounts that are answered, made as the pod's supervisor makes them, on the real kernel.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "plugins/snapshot_overlay/overlay_snapshotter.h"
#include "plugins/snapshot_overlay/test_directory.h"

namespace berth::snapshot_overlay {
namespace {

namespace fs = std::filesystem;
using sdk::SnapshotKind;

constexpr char kCwd[] = "x-berth.cwd=";

void Mount(const sdk::Mount& mount, const std::string& target) {
  std::string data;
  unsigned long flags = 0;
  for (const std::string& option : mount.options) {
    if (option.rfind(kCwd, 0) == 0) {
      ASSERT_EQ(chdir(option.c_str() + strlen(kCwd)), 0) << option;
    } else if (option == "bind") {
      flags |= MS_BIND;
    } else if (option == "ro") {
      flags |= MS_RDONLY;
    } else if (option != "rw") {
      data += (data.empty() ? "" : ",") + option;
    }
  }
  ASSERT_EQ(::mount(mount.source.c_str(), target.c_str(), mount.type.c_str(), flags, data.c_str()), 0)
      << strerror(errno) << " " << data;
  if ((flags & MS_BIND) != 0 && (flags & MS_RDONLY) != 0) {
    ASSERT_EQ(::mount("", target.c_str(), "", flags | MS_REMOUNT, ""), 0) << strerror(errno);
  }
  ASSERT_EQ(chdir("/"), 0);
}

class RootfsMountTest : public testing::Test {
 protected:
  RootfsMountTest() {
    auto opened = OverlaySnapshotter::Open(dir_.path() + "/root");
    if (opened.ok()) {
      snapshots_ = *std::move(opened);
    } else {
      ADD_FAILURE() << opened.status().message();
    }
    fs::create_directory(rootfs());
  }

  std::string rootfs() const { return dir_.path() + "/rootfs"; }

  sdk::Result<sdk::PreparedSnapshot> Prepare(const std::string& key, SnapshotKind kind,
                                             std::vector<std::string> parents = {}) {
    sdk::SnapshotRequest request;
    request.key = key;
    request.kind = kind;
    request.parents = std::move(parents);
    return snapshots_->Prepare(request);
  }

  // Commits a layer of what `fill` puts into the directory it is given.
  void MakeLayer(const std::string& key, const std::function<void(const std::string&)>& fill) {
    const auto prepared = Prepare(key, SnapshotKind::kLayer);
    ASSERT_TRUE(prepared.ok()) << prepared.status().message();
    fill("/proc/self/fd/" + std::to_string((*prepared).directory.get()));
    ASSERT_TRUE(snapshots_->Commit(key, {}).ok());
  }

  void MakeTwoLayers() {
    MakeLayer("1", [](const std::string& at) {
      WriteTestFile(at + "/below", "1");
      WriteTestFile(at + "/both", "1");
      WriteTestFile(at + "/deleted", "1");
      fs::create_directory(at + "/replaced");
      WriteTestFile(at + "/replaced/old", "1");
    });
    MakeLayer("2", [](const std::string& at) {
      WriteTestFile(at + "/both", "2");
      ASSERT_EQ(mknod((at + "/deleted").c_str(), S_IFCHR, makedev(0, 0)), 0);
      fs::create_directory(at + "/replaced");
      ASSERT_EQ(setxattr((at + "/replaced").c_str(), "trusted.overlay.opaque", "y", 1, 0), 0);
      WriteTestFile(at + "/replaced/new", "2");
    });
  }

  void ExpectMerged() {
    EXPECT_EQ(ReadTestFile(rootfs() + "/below"), "1");
    EXPECT_EQ(ReadTestFile(rootfs() + "/both"), "2");
    EXPECT_FALSE(fs::exists(rootfs() + "/deleted"));
    EXPECT_FALSE(fs::exists(rootfs() + "/replaced/old"));
    EXPECT_TRUE(fs::exists(rootfs() + "/replaced/new"));
  }

  TestDirectory dir_;
  std::unique_ptr<OverlaySnapshotter> snapshots_;
};

TEST_F(RootfsMountTest, ContainerSeesMergedLayersAndWritesOnlyItsOwn) {
  MakeTwoLayers();
  const auto container = Prepare("3", SnapshotKind::kContainer, {"2", "1"});
  ASSERT_TRUE(container.ok()) << container.status().message();
  InMountNamespace([&] {
    Mount((*container).mounts[0], rootfs());
    ExpectMerged();
    WriteTestFile(rootfs() + "/written", "3");
    EXPECT_TRUE(fs::remove(rootfs() + "/below"));
    fs::rename(rootfs() + "/both", rootfs() + "/moved");
  });
  EXPECT_EQ(ReadTestFile(dir_.path() + "/root/active/3/fs/written"), "3");
  EXPECT_EQ(ReadTestFile(dir_.path() + "/root/layers/1/fs/below"), "1");
  EXPECT_EQ(ReadTestFile(dir_.path() + "/root/layers/2/fs/both"), "2");
  EXPECT_FALSE(fs::exists(rootfs() + "/written")) << "nothing is mounted outside";
  // What the kernel left in the work directory is freed too.
  EXPECT_TRUE(snapshots_->Remove("3").ok());
  EXPECT_TRUE(snapshots_->Cleanup([] { return false; }).ok());
  EXPECT_TRUE(fs::is_empty(dir_.path() + "/root/trash"));
}

TEST_F(RootfsMountTest, ViewsAreReadOnly) {
  MakeTwoLayers();
  auto both = Prepare("3", SnapshotKind::kView, {"2", "1"});
  auto one = Prepare("4", SnapshotKind::kView, {"1"});
  auto none = Prepare("5", SnapshotKind::kView);
  ASSERT_TRUE(both.ok() && one.ok() && none.ok());
  InMountNamespace([&] {
    for (const auto* view : {&both, &one, &none}) {
      Mount((**view).mounts[0], rootfs());
      EXPECT_NE(mkdir((rootfs() + "/new").c_str(), 0755), 0);
      EXPECT_EQ(errno, EROFS);
      if (view == &both) ExpectMerged();
      if (view == &one) {
        EXPECT_TRUE(fs::exists(rootfs() + "/replaced/old"));
      }
      EXPECT_EQ(umount(rootfs().c_str()), 0) << strerror(errno);
    }
  });
}

TEST_F(RootfsMountTest, ContainerWithoutLayersIsWritable) {
  auto container = Prepare("1", SnapshotKind::kContainer);
  ASSERT_TRUE(container.ok());
  InMountNamespace([&] {
    Mount((*container).mounts[0], rootfs());
    WriteTestFile(rootfs() + "/written", "1");
  });
  EXPECT_EQ(ReadTestFile(dir_.path() + "/root/active/1/fs/written"), "1");
}

TEST_F(RootfsMountTest, AsManyLayersAsAnImageMayHave) {
  constexpr int kLayers = 127;
  std::vector<std::string> parents;
  for (int i = 0; i < kLayers; ++i) {
    const std::string key = std::to_string(100000000 + i);
    MakeLayer(key, [i](const std::string& at) { WriteTestFile(at + "/" + std::to_string(i), "x"); });
    parents.insert(parents.begin(), key);
  }
  auto container = Prepare("c", SnapshotKind::kContainer, parents);
  ASSERT_TRUE(container.ok()) << container.status().message();
  InMountNamespace([&] {
    Mount((*container).mounts[0], rootfs());
    EXPECT_EQ(std::distance(fs::directory_iterator(rootfs()), fs::directory_iterator()), kLayers);
  });
}

}  // namespace
}  // namespace berth::snapshot_overlay
