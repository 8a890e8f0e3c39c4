#include "plugins/snapshot_overlay/layout.h"

#include <gtest/gtest.h>

namespace berth::snapshot_overlay {
namespace {

using Options = std::vector<std::string>;

sdk::SnapshotRequest Request(sdk::SnapshotKind kind, std::vector<std::string> parents) {
  sdk::SnapshotRequest request;
  request.key = "9";
  request.kind = kind;
  request.parents = std::move(parents);
  return request;
}

TEST(Layout, KeysAreNamesOfDirectories) {
  for (const char* good : {"0", "a", "1234", "abcdefghijklmnopqrstuvwxyz012345"}) EXPECT_TRUE(CheckKey(good).ok());
  for (const char* bad : {"", "..", ".", "a/b", "A", "a b", "a:b", "abcdefghijklmnopqrstuvwxyz0123456"}) {
    EXPECT_EQ(CheckKey(bad).code(), sdk::Code::kInvalidArgument) << bad;
  }
  EXPECT_FALSE(CheckKey(std::string_view("a\0b", 3)).ok());
}

TEST(Layout, ContainerOverLayers) {
  const auto mounts = RootfsMounts("/r", Request(sdk::SnapshotKind::kContainer, {"2", "1"}));
  ASSERT_TRUE(mounts.ok()) << mounts.status().message();
  ASSERT_EQ((*mounts).size(), 1u);
  const sdk::Mount& mount = (*mounts)[0];
  EXPECT_EQ(mount.type, "overlay");
  EXPECT_EQ(mount.source, "overlay");
  EXPECT_EQ(mount.target, "");
  EXPECT_EQ(mount.options, (Options{"index=off", "redirect_dir=off", "metacopy=off", "lowerdir=2/fs:1/fs",
                                    "upperdir=../active/9/fs", "workdir=../active/9/work", "x-berth.cwd=/r/layers"}));
}

TEST(Layout, ViewOverLayersHasNoUpper) {
  const auto mounts = RootfsMounts("/r", Request(sdk::SnapshotKind::kView, {"2", "1"}));
  ASSERT_TRUE(mounts.ok());
  EXPECT_EQ((*mounts)[0].options, (Options{"index=off", "redirect_dir=off", "metacopy=off", "lowerdir=2/fs:1/fs", "ro",
                                           "x-berth.cwd=/r/layers"}));
}

TEST(Layout, WhatNeedsNoOverlayIsABind) {
  const auto view = RootfsMounts("/r", Request(sdk::SnapshotKind::kView, {"1"}));
  EXPECT_EQ((*view)[0].type, "bind");
  EXPECT_EQ((*view)[0].source, "/r/layers/1/fs");
  EXPECT_EQ((*view)[0].options, (Options{"bind", "ro"}));
  EXPECT_EQ((*RootfsMounts("/r", Request(sdk::SnapshotKind::kView, {})))[0].source, "/r/active/9/fs");
  const auto container = RootfsMounts("/r", Request(sdk::SnapshotKind::kContainer, {}));
  EXPECT_EQ((*container)[0].source, "/r/active/9/fs");
  EXPECT_EQ((*container)[0].options, (Options{"bind", "rw"}));
}

TEST(Layout, IdMapsAreTheMountersToMake) {
  auto request = Request(sdk::SnapshotKind::kContainer, {"2", "1"});
  request.uid_map = request.gid_map = {{0, 100000, 65536}};
  EXPECT_EQ((*RootfsMounts("/r", request))[0].options.back(), "x-berth.idmap=/r");
  request.parents.clear();
  EXPECT_EQ((*RootfsMounts("/r", request))[0].options, (Options{"bind", "rw", "x-berth.idmap"}));
}

TEST(Layout, TooManyLayersAreRefused) {
  const auto long_keys = Request(sdk::SnapshotKind::kContainer, std::vector<std::string>(127, std::string(32, 'k')));
  EXPECT_EQ(RootfsMounts("/r", long_keys).status().code(), sdk::Code::kFailedPrecondition);
  const auto many = Request(sdk::SnapshotKind::kView, std::vector<std::string>(501, "1"));
  EXPECT_EQ(RootfsMounts("/r", many).status().code(), sdk::Code::kFailedPrecondition);
  // The 127 layers that images may have, with keys as the host makes them.
  const auto usual = Request(sdk::SnapshotKind::kContainer, std::vector<std::string>(127, "12345678901234567890"));
  EXPECT_TRUE(RootfsMounts("/r", usual).ok());
}

}  // namespace
}  // namespace berth::snapshot_overlay
