#include "plugins/executor_oci/runtime_output.h"

#include <gtest/gtest.h>

namespace berth::executor_oci {
namespace {

using sdk::ExecutorState;

TEST(ParseState, ReadsStatusAndPid) {
  const auto created = ParseState(R"({"ociVersion":"1.0.0","id":"c1","pid":3930,"status":"created","owner":"root"})");
  ASSERT_TRUE(created.ok()) << created.status().message();
  EXPECT_EQ((*created).state, ExecutorState::kCreated);
  EXPECT_EQ((*created).pid, 3930);
  EXPECT_EQ((*ParseState(R"({"pid":7,"status":"paused"})")).state, ExecutorState::kPaused);
  const auto stopped = ParseState(R"({"pid":7,"status":"stopped"})");
  EXPECT_EQ((*stopped).state, ExecutorState::kStopped);
  EXPECT_EQ((*stopped).pid, 0) << "somebody else's by now";
}

TEST(ParseState, RefusesWhatIsNoState) {
  for (const char* bad : {"", "{", "[]", "{}", R"({"status":"dancing"})", R"({"status":7})",
                          R"({"status":"running","pid":99999999999})"}) {
    EXPECT_FALSE(ParseState(bad).ok()) << bad;
  }
  EXPECT_FALSE(ParseState(std::string(kMaxOutput + 1, ' ')).ok());
  EXPECT_FALSE(ParseState(std::string(100000, '[')).ok());
}

TEST(ParseFeatures, OldCrunHasNoFeaturesCommand) {
  const auto f = ParseFeatures("crun version 1.8.1\ncommit: f8a096be\nrundir: /run/crun\nspec: 1.0.0\n+SYSTEMD\n", "",
                               "/usr/bin/crun");
  EXPECT_EQ(f.name, "crun");
  EXPECT_EQ(f.version, "1.8.1");
  EXPECT_EQ(f.oci_version_max, "1.0.2");
  EXPECT_TRUE(f.recursive_read_only);
  EXPECT_FALSE(f.id_mapped_mounts);
  EXPECT_EQ(f.json, "");
}

TEST(ParseFeatures, RuncTellsByItself) {
  const auto f = ParseFeatures("runc version 1.1.5+ds1\ncommit: x\nspec: 1.0.2-dev\n",
                               R"({"ociVersionMin":"1.0.0","ociVersionMax":"1.0.2-dev","mountOptions":["ro","rro"]})",
                               "/usr/sbin/runc");
  EXPECT_EQ(f.name, "runc");
  EXPECT_EQ(f.version, "1.1.5+ds1");
  EXPECT_EQ(f.oci_version_max, "1.0.2-dev");
  EXPECT_TRUE(f.recursive_read_only);
  EXPECT_FALSE(f.id_mapped_mounts);
  EXPECT_FALSE(f.json.empty());
}

TEST(ParseFeatures, IdMappedMountsAreAnExtension) {
  const auto f = ParseFeatures(
      "crun version 1.21\n",
      R"({"ociVersionMax":"1.2.0","mountOptions":[],"linux":{"mountExtensions":{"idmap":{"enabled":true}}}})", "crun");
  EXPECT_TRUE(f.id_mapped_mounts);
  EXPECT_FALSE(f.recursive_read_only);
  EXPECT_EQ(f.oci_version_max, "1.2.0");
}

TEST(ParseFeatures, StrangersAreNamedByTheirFile) {
  const auto f = ParseFeatures("hello\n", "hello", "/opt/bin/other");
  EXPECT_EQ(f.name, "other");
  EXPECT_EQ(f.version, "");
  EXPECT_EQ(f.oci_version_max, "");
  EXPECT_EQ(ParseFeatures("runsc version release-1\nspec: 1.1.0-rc.1\n", "", "runsc").oci_version_max, "1.1.0-rc.1");
  EXPECT_EQ(ParseFeatures("youki version: 0.3.3\ncommit: x\n", "[]", "youki").version, "0.3.3");
  EXPECT_EQ(ParseFeatures("", "", "").name, "");
}

}  // namespace
}  // namespace berth::executor_oci
