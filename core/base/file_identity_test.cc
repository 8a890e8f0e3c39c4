#include "core/base/file_identity.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "core/base/file.h"

namespace berth {
namespace {

std::string EffectiveCapabilities() {
  std::ifstream status("/proc/thread-self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("CapEff:", 0) == 0) return line;
  }
  return "";
}

TEST(FileIdentityTest, MakesFilesForAnotherUserWithoutLosingPower) {
  if (geteuid() != 0) GTEST_SKIP() << "not root";
  char path[] = "/tmp/berth-identity-XXXXXX";
  ASSERT_NE(mkdtemp(path), nullptr);
  const std::string directory = path, before = EffectiveCapabilities();
  {
    const auto identity = FileIdentity::Assume(123456, 234567);
    ASSERT_TRUE(identity.ok()) << identity.status();
    EXPECT_EQ(EffectiveCapabilities(), before);
    ASSERT_EQ(mkdir((directory + "/theirs").c_str(), 0755), 0) << "into a directory of root's";
    struct stat st;
    ASSERT_EQ(stat((directory + "/theirs").c_str(), &st), 0);
    EXPECT_EQ(st.st_uid, 123456u);
    EXPECT_EQ(st.st_gid, 234567u);
  }
  EXPECT_EQ(EffectiveCapabilities(), before);
  ASSERT_EQ(mkdir((directory + "/after").c_str(), 0755), 0);
  struct stat st;
  ASSERT_EQ(stat((directory + "/after").c_str(), &st), 0);
  EXPECT_EQ(st.st_uid + st.st_gid, 0u);
  EXPECT_TRUE(RemoveTree(directory).ok());
}

}  // namespace
}  // namespace berth
