#include "core/oci/user.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "core/base/file.h"

namespace berth::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class UserTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/berth-user-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    root_ = path;
    ASSERT_TRUE(MakeDirs(root_ + "/etc").ok());
    Write("passwd",
          "root:x:0:0:root:/root:/bin/sh\n# comment\n\nbad line\nbroken:x:NaN:1::/:\n"
          "www:x:33:34:www:/var/www:/bin/false\n1000:x:0:0:trap:/root:/bin/sh\n"
          "alice:x:1000:100:Alice:/home/alice:/bin/sh");
    Write("group", "root:x:0:\nusers:x:100:\nwheel:x:10:root,alice\nvideo:x:44:alice,www\naudio:x:29:alicex\n");
    fd_ = OpenFile(root_, O_RDONLY | O_DIRECTORY).value();
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(root_).ok()); }

  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomic(root_ + "/etc/" + name, text, 0644, Durability::kVolatile).ok());
  }
  absl::StatusOr<ResolvedUser> Resolve(const std::string& image_user) {
    return ResolveUser(fd_.get(), security_, image_user);
  }
  std::string Error(const std::string& image_user) {
    const auto user = Resolve(image_user);
    EXPECT_EQ(user.status().code(), absl::StatusCode::kInvalidArgument) << user.status();
    return std::string(user.status().message());
  }

  std::string root_;
  UniqueFd fd_;
  runtime::v1::LinuxContainerSecurityContext security_;
};

TEST_F(UserTest, WithoutAnyoneItIsRoot) {
  const auto user = Resolve("");
  ASSERT_TRUE(user.ok()) << user.status();
  EXPECT_EQ(user->uid, 0u);
  EXPECT_EQ(user->gid, 0u);
  EXPECT_THAT(user->additional_gids, ElementsAre(0, 10));
}

TEST_F(UserTest, FormsOfTheImageUser) {
  struct Case {
    const char* text;
    uint32_t uid, gid;
    std::vector<uint32_t> groups;
  };
  const Case cases[] = {
      {"alice", 1000, 100, {100, 10, 44}},
      {"alice:wheel", 1000, 10, {10, 44}},
      {"alice:7", 1000, 7, {7, 10, 44}},
      {"1000", 1000, 100, {100, 10, 44}},
      {"33:0", 33, 0, {0, 44}},
      {"4242", 4242, 0, {0}},
      {"4242:4343", 4242, 4343, {4343}},
      {":users", 0, 100, {100, 10}},
      {"www:", 33, 34, {34, 44}},
  };
  for (const Case& c : cases) {
    const auto user = Resolve(c.text);
    ASSERT_TRUE(user.ok()) << c.text << ": " << user.status();
    EXPECT_EQ(user->uid, c.uid) << c.text;
    EXPECT_EQ(user->gid, c.gid) << c.text;
    EXPECT_EQ(user->additional_gids, c.groups) << c.text;
  }
}

TEST_F(UserTest, ANumberIsNeverAName) {
  security_.mutable_run_as_user()->set_value(1000);
  EXPECT_EQ(Resolve("")->uid, 1000u);
}

TEST_F(UserTest, TheConfigurationComesFirst) {
  security_.set_run_as_username("www");
  EXPECT_EQ(Resolve("alice")->uid, 33u);
  security_.mutable_run_as_user()->set_value(5);
  security_.mutable_run_as_group()->set_value(6);
  EXPECT_EQ(Resolve("alice")->uid, 5u);
  EXPECT_EQ(Resolve("alice")->gid, 6u);
}

TEST_F(UserTest, SupplementalGroups) {
  security_.set_run_as_username("alice");
  for (int64_t gid : {5, 44, 5}) security_.add_supplemental_groups(gid);
  EXPECT_THAT(Resolve("")->additional_gids, ElementsAre(100, 10, 44, 5));
  security_.set_supplemental_groups_policy(runtime::v1::SupplementalGroupsPolicy::Strict);
  EXPECT_THAT(Resolve("")->additional_gids, ElementsAre(100, 5, 44));
  security_.set_supplemental_groups_policy(static_cast<runtime::v1::SupplementalGroupsPolicy>(7));
  EXPECT_THAT(Error(""), HasSubstr("unknown supplemental_groups_policy"));
}

TEST_F(UserTest, SaysWhatIsWrong) {
  EXPECT_THAT(Error("nobody"), HasSubstr("\"nobody\": not in /etc/passwd"));
  EXPECT_THAT(Error("alice:nogroup"), HasSubstr("\"nogroup\": not in /etc/group"));
  EXPECT_THAT(Error("99999999999"), HasSubstr("not in /etc/passwd"));
  EXPECT_THAT(Error("-1"), HasSubstr("not in /etc/passwd"));
  EXPECT_THAT(Error(std::string("a\0b", 3)), HasSubstr("NUL"));
  security_.mutable_run_as_group()->set_value(6);
  EXPECT_THAT(Error("alice"), HasSubstr("run_as_group needs"));
  security_.mutable_run_as_user()->set_value(-1);
  EXPECT_THAT(Error(""), HasSubstr("run_as_user -1"));
  security_.mutable_run_as_user()->set_value(0xFFFFFFFFll);
  EXPECT_THAT(Error(""), HasSubstr("is not a valid id"));
}

TEST_F(UserTest, HostileFiles) {
  ASSERT_EQ(unlink((root_ + "/etc/passwd").c_str()), 0);
  EXPECT_EQ(Resolve("4242")->gid, 0u);  // an image without passwd
  ASSERT_EQ(symlink("../../../../../../../etc/passwd", (root_ + "/etc/passwd").c_str()), 0);
  EXPECT_FALSE(Resolve("daemon").ok());  // the link stays in the image, where it points at itself
  ASSERT_EQ(unlink((root_ + "/etc/passwd").c_str()), 0);
  ASSERT_EQ(mkfifo((root_ + "/etc/passwd").c_str(), 0600), 0);
  EXPECT_THAT(Error("alice"), HasSubstr("not a regular file"));
  ASSERT_EQ(unlink((root_ + "/etc/passwd").c_str()), 0);
  Write("passwd", std::string(5 << 20, 'x'));
  EXPECT_THAT(Error("alice"), HasSubstr("larger than 4 MiB"));
}

TEST_F(UserTest, MoreGroupsThanTheKernelTakes) {
  std::string text;
  for (int i = 1; i < 70000; ++i) text += "g:x:" + std::to_string(i) + ":alice\n";
  Write("group", text);
  EXPECT_THAT(Error("alice"), HasSubstr("more groups"));
}

}  // namespace
}  // namespace berth::oci
