// With a directory in the place of the kernel's, and a parser that is a script.
#include "core/container/apparmor_default.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"

namespace berth {
namespace {

using ::testing::HasSubstr;

class AppArmorDefaultTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/berth-apparmor-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    directory_ = path;
    places_.enabled = directory_ + "/enabled";
    places_.profiles = directory_ + "/profiles";
    Write("enabled", "Y\n");
    Write("profiles", "other (enforce)\n");
    // Keeps what it is given, and says that it is loaded.
    Parser(absl::StrCat("cat > ", directory_, "/text; echo run >> ", directory_,
                        "/runs; echo 'berth-default (enforce)' >> ", places_.profiles));
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(directory_).ok()); }

  void Write(const std::string& name, const std::string& text, mode_t mode = 0644) {
    ASSERT_TRUE(WriteFileAtomic(directory_ + "/" + name, text, mode, Durability::kVolatile).ok());
  }
  void Parser(const std::string& script) { Write("parser", "#!/bin/sh\n" + script + "\n", 0755); }
  size_t Runs() { return ReadFile(directory_ + "/runs").value_or("").size() / 4; }
  bool IsLoaded() { return oci::ReadAppArmorFacts(places_).profiles.count(oci::kDefaultAppArmorProfile) > 0; }
  AppArmorDefault New() { return AppArmorDefault(places_, {directory_ + "/none", directory_ + "/parser"}); }

  std::string directory_;
  oci::AppArmorPlaces places_;
};

TEST_F(AppArmorDefaultTest, IsLoadedOnceAndWheneverItIsGone) {
  AppArmorDefault profile = New();
  ASSERT_EQ(profile.Load({}), absl::OkStatus());
  EXPECT_TRUE(IsLoaded());
  EXPECT_THAT(*ReadFile(directory_ + "/text"), HasSubstr("profile berth-default flags=("));
  ASSERT_EQ(profile.Load({}), absl::OkStatus());
  EXPECT_EQ(Runs(), 1u);
  Write("profiles", "");
  ASSERT_EQ(profile.Load({}), absl::OkStatus());
  EXPECT_EQ(Runs(), 2u);
  AppArmorDefault of_the_next_daemon = New();
  ASSERT_EQ(of_the_next_daemon.Load({}), absl::OkStatus());
  EXPECT_EQ(Runs(), 3u) << "it may be another text";
}

TEST_F(AppArmorDefaultTest, WithoutAppArmorNothingIsRun) {
  AppArmorDefault profile = New();
  Write("enabled", "N\n");
  EXPECT_EQ(profile.Load({}), absl::OkStatus());
  Write("enabled", "Y\n");
  ASSERT_EQ(unlink(places_.profiles.c_str()), 0);
  EXPECT_EQ(profile.Load({}), absl::OkStatus());
  EXPECT_EQ(Runs(), 0u);
}

TEST_F(AppArmorDefaultTest, WithoutAParserItIsDoneWithout) {
  ASSERT_EQ(unlink((directory_ + "/parser").c_str()), 0);
  AppArmorDefault profile = New();
  EXPECT_EQ(profile.Load({}), absl::OkStatus());
  EXPECT_FALSE(IsLoaded());
}

TEST_F(AppArmorDefaultTest, AParserThatFailsIsAnError) {
  Parser("cat > /dev/null; echo 'no memory' >&2; exit 1");
  AppArmorDefault profile = New();
  const absl::Status status = profile.Load({});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no memory"));
  Parser(absl::StrCat("cat > /dev/null; echo 'berth-default (enforce)' > ", places_.profiles));
  EXPECT_EQ(profile.Load({}), absl::OkStatus()) << "it is tried again";
}

// What the real parser makes of the text, where it is installed.
TEST_F(AppArmorDefaultTest, TheTextIsAProfile) {
  if (access("/sbin/apparmor_parser", X_OK) != 0) GTEST_SKIP() << "there is no apparmor_parser on this machine";
  Parser("exec /sbin/apparmor_parser --skip-kernel-load --skip-cache");
  AppArmorDefault profile = New();
  EXPECT_EQ(profile.Load({}), absl::OkStatus());
}

}  // namespace
}  // namespace berth
