#include "core/oci/apparmor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "core/base/file.h"

namespace berth::oci {
namespace {

using runtime::v1::LinuxContainerSecurityContext;
using runtime::v1::SecurityProfile;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

LinuxContainerSecurityContext Profile(SecurityProfile::ProfileType type, const std::string& reference = "") {
  LinuxContainerSecurityContext security;
  security.mutable_apparmor()->set_profile_type(type);
  security.mutable_apparmor()->set_localhost_ref(reference);
  return security;
}

LinuxContainerSecurityContext Deprecated(const std::string& name) {
  LinuxContainerSecurityContext security;
  security.set_apparmor_profile(name);
  return security;
}

LinuxContainerSecurityContext Privileged(LinuxContainerSecurityContext security) {
  security.set_privileged(true);
  return security;
}

TEST(AppArmor, BothFieldsSayTheSame) {
  for (const auto& security : {LinuxContainerSecurityContext(), Deprecated("runtime/default"), Profile({})}) {
    EXPECT_EQ(AppArmorChoiceOf(security)->kind, AppArmorKind::kDefault);
    EXPECT_EQ(AppArmorChoiceOf(Privileged(security))->kind, AppArmorKind::kUnconfined);
  }
  for (const auto& security : {Deprecated("unconfined"), Profile(SecurityProfile::Unconfined)}) {
    EXPECT_EQ(AppArmorChoiceOf(security)->kind, AppArmorKind::kUnconfined);
  }
  for (const auto& security : {Deprecated("localhost/p q"), Profile(SecurityProfile::Localhost, "localhost/p q"),
                               Profile(SecurityProfile::Localhost, "p q")}) {
    EXPECT_EQ(AppArmorChoiceOf(security)->kind, AppArmorKind::kLocalhost);
    EXPECT_EQ(AppArmorChoiceOf(security)->profile, "p q");
    EXPECT_EQ(AppArmorChoiceOf(Privileged(security))->profile, "p q") << "it is asked for by name";
  }
  LinuxContainerSecurityContext both = Profile(SecurityProfile::Unconfined);
  both.set_apparmor_profile("localhost/p");
  EXPECT_EQ(AppArmorChoiceOf(both)->kind, AppArmorKind::kUnconfined);
  for (const auto& security : {Deprecated("p"), Deprecated("localhost/"), Profile(SecurityProfile::Localhost),
                               Profile(static_cast<SecurityProfile::ProfileType>(9))}) {
    EXPECT_EQ(AppArmorChoiceOf(security).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(AppArmor, ProfilesOfANodeThatHasIt) {
  AppArmorFacts facts{.enabled = true, .profiles = {"p"}};
  EXPECT_EQ(*AppArmorProfile({}, facts), "") << "there is nothing to load it with";
  facts.profiles.insert(kDefaultAppArmorProfile);
  EXPECT_EQ(*AppArmorProfile({}, facts), kDefaultAppArmorProfile);
  EXPECT_EQ(*AppArmorProfile(Privileged({}), facts), "");
  EXPECT_EQ(*AppArmorProfile(Deprecated("unconfined"), facts), "");
  EXPECT_EQ(*AppArmorProfile(Deprecated("localhost/p"), facts), "p");
  EXPECT_EQ(*AppArmorProfile(Privileged(Deprecated("localhost/p")), facts), "p");
  const absl::Status missing = AppArmorProfile(Deprecated("localhost/other"), facts).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("AppArmor profile other: it is not loaded"));
}

TEST(AppArmor, ANodeWithout) {
  for (const auto& security : {LinuxContainerSecurityContext(), Deprecated("runtime/default"), Profile({}),
                               Deprecated("unconfined"), Profile(SecurityProfile::Unconfined)}) {
    EXPECT_EQ(*AppArmorProfile(security, {}), "");
  }
  const absl::Status refused = AppArmorProfile(Deprecated("localhost/p"), {}).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("AppArmor profile p: AppArmor is not enabled on this node"));
}

TEST(AppArmor, FactsAreReadFromTheKernelsFiles) {
  char directory[] = "/tmp/berth-apparmor-XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  const AppArmorPlaces places{std::string(directory) + "/enabled", std::string(directory) + "/profiles"};
  const auto write = [](const std::string& path, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomic(path, text, 0644, Durability::kVolatile).ok());
  };
  EXPECT_FALSE(ReadAppArmorFacts(places).enabled);
  write(places.enabled, "Y\n");
  EXPECT_FALSE(ReadAppArmorFacts(places).enabled) << "no securityfs";
  write(places.profiles, "/usr/bin/man (enforce)\nberth-default (enforce)\na (b) c (complain)\nbroken\n");
  EXPECT_TRUE(ReadAppArmorFacts(places).enabled);
  EXPECT_THAT(ReadAppArmorFacts(places).profiles, ElementsAre("/usr/bin/man", "a (b) c", "berth-default"));
  write(places.enabled, "N\n");
  EXPECT_FALSE(ReadAppArmorFacts(places).enabled);
  EXPECT_THAT(ReadAppArmorFacts(places).profiles, IsEmpty());
  EXPECT_TRUE(RemoveTree(directory).ok());
}

}  // namespace
}  // namespace berth::oci
