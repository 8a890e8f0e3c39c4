#include "core/oci/user_namespace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::oci {
namespace {

using runtime::v1::NamespaceMode;
using ::testing::HasSubstr;

void AddLine(runtime::v1::IDMapping* line, uint32_t inside, uint32_t host, uint32_t count) {
  line->set_container_id(inside);
  line->set_host_id(host);
  line->set_length(count);
}

runtime::v1::NamespaceOption Mapped(uint32_t inside = 0, uint32_t host = 100000, uint32_t count = 65536) {
  runtime::v1::NamespaceOption options;
  options.mutable_userns_options()->set_mode(NamespaceMode::POD);
  AddLine(options.mutable_userns_options()->add_uids(), inside, host, count);
  AddLine(options.mutable_userns_options()->add_gids(), inside, host, count);
  return options;
}

std::string ErrorOf(const runtime::v1::NamespaceOption& options) {
  const auto maps = IdMapsOf(options);
  EXPECT_EQ(maps.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(maps.status().message());
}

TEST(IdMapsOf, OneLineThatMapsRoot) {
  const auto maps = IdMapsOf(Mapped());
  ASSERT_TRUE(maps.ok() && maps->has_value()) << maps.status();
  EXPECT_EQ((*maps)->uids.host, 100000u);
  EXPECT_EQ((*maps)->gids.count, 65536u);
  EXPECT_TRUE(IdMapsOf(Mapped(0, 4294901759, 65536)).ok());
  EXPECT_THAT(ErrorOf(Mapped(0, 4294901760, 65536)), HasSubstr("beyond the range"));
  EXPECT_THAT(ErrorOf(Mapped(1)), HasSubstr("id 0"));
  EXPECT_THAT(ErrorOf(Mapped(0, 100000, 0)), HasSubstr("id 0"));
  runtime::v1::NamespaceOption two = Mapped();
  AddLine(two.mutable_userns_options()->add_gids(), 65536, 300000, 10);
  EXPECT_THAT(ErrorOf(two), HasSubstr("gids has 2 lines"));
}

TEST(IdMapsOf, Modes) {
  runtime::v1::NamespaceOption options;
  EXPECT_FALSE(IdMapsOf(options)->has_value());
  options.mutable_userns_options()->set_mode(NamespaceMode::NODE);
  EXPECT_FALSE(IdMapsOf(options)->has_value());
  options = Mapped();
  for (const NamespaceMode mode : {NamespaceMode::NODE, NamespaceMode::CONTAINER, NamespaceMode::TARGET}) {
    options.mutable_userns_options()->set_mode(mode);
    ErrorOf(options);
  }
  options.Clear();
  options.mutable_userns_options()->set_mode(NamespaceMode::POD);
  EXPECT_THAT(ErrorOf(options), HasSubstr("uids has 0 lines"));
}

TEST(CheckContainerIdMaps, AsThePod) {
  const auto pod = IdMapsOf(Mapped());
  EXPECT_TRUE(CheckContainerIdMaps(Mapped(), *pod).ok());
  EXPECT_TRUE(CheckContainerIdMaps({}, std::nullopt).ok());
  EXPECT_FALSE(CheckContainerIdMaps({}, *pod).ok());
  EXPECT_FALSE(CheckContainerIdMaps(Mapped(), std::nullopt).ok());
  EXPECT_FALSE(CheckContainerIdMaps(Mapped(0, 200000), *pod).ok());
  runtime::v1::NamespaceOption in_host_pid = Mapped();
  in_host_pid.set_pid(NamespaceMode::NODE);
  EXPECT_FALSE(CheckContainerIdMaps(in_host_pid, *pod).ok());
}

TEST(CheckVolumeIdMaps, NoneOrThePods) {
  const auto pod = IdMapsOf(Mapped());
  runtime::v1::Mount mount;
  EXPECT_TRUE(CheckVolumeIdMaps(mount, *pod).ok());
  EXPECT_TRUE(CheckVolumeIdMaps(mount, std::nullopt).ok());
  AddLine(mount.add_uidmappings(), 0, 100000, 65536);
  EXPECT_FALSE(CheckVolumeIdMaps(mount, *pod).ok()) << "uids alone";
  AddLine(mount.add_gidmappings(), 0, 100000, 65536);
  EXPECT_TRUE(CheckVolumeIdMaps(mount, *pod).ok());
  EXPECT_FALSE(CheckVolumeIdMaps(mount, std::nullopt).ok());
  mount.mutable_gidmappings(0)->set_host_id(5);
  EXPECT_FALSE(CheckVolumeIdMaps(mount, *pod).ok());
}

TEST(CheckUserIsMapped, EveryId) {
  const IdMaps maps{{100000, 1000}, {100000, 500}};
  EXPECT_TRUE(CheckUserIsMapped({999, 499, {499, 0}}, maps).ok());
  EXPECT_FALSE(CheckUserIsMapped({1000, 0, {}}, maps).ok());
  EXPECT_FALSE(CheckUserIsMapped({0, 500, {}}, maps).ok());
  EXPECT_FALSE(CheckUserIsMapped({0, 0, {0, 4242}}, maps).ok());
}

}  // namespace
}  // namespace berth::oci
