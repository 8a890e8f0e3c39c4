// Trees as containers may leave them: deep, linked, full of links that point elsewhere.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>
#include <utility>

#include "berth/sdk/unique_fd.h"
#include "plugins/snapshot_overlay/test_directory.h"
#include "plugins/snapshot_overlay/trash.h"
#include "plugins/snapshot_overlay/tree_usage.h"

namespace berth::snapshot_overlay {
namespace {

bool Never() { return false; }

sdk::UniqueFd Open(const std::string& path) { return sdk::UniqueFd(open(path.c_str(), O_RDONLY | O_DIRECTORY)); }

// A chain of `depth` directories, far longer than a path may be, with a file at its end.
void MakeDeep(const std::string& top, int depth) {
  sdk::UniqueFd at = Open(top);
  for (int i = 0; i < depth; ++i) {
    ASSERT_EQ(mkdirat(at.get(), "directory", 0755), 0);
    at.reset(openat(at.get(), "directory", O_RDONLY | O_DIRECTORY));
    ASSERT_TRUE(at.valid());
  }
  sdk::UniqueFd file(openat(at.get(), "file", O_WRONLY | O_CREAT, 0644));
  ASSERT_TRUE(file.valid());
}

TEST(TreeUsage, CountsAllocatedBlocksAndInodes) {
  TestDirectory dir;
  WriteTestFile(dir.path() + "/a", std::string(100000, 'x'));
  ASSERT_EQ(truncate((dir.path() + "/a").c_str(), 1 << 30), 0);  // apparent, not allocated
  std::filesystem::create_directories(dir.path() + "/sub/sub");
  const auto usage = MeasureTree(Open(dir.path()).get(), Never);
  ASSERT_TRUE(usage.ok()) << usage.status().message();
  EXPECT_EQ((*usage).inodes, 4u);
  EXPECT_GE((*usage).bytes, 100000u);
  EXPECT_LT((*usage).bytes, 1000000u);
}

TEST(TreeUsage, HardLinksCountOnceAndSymlinksAreNotFollowed) {
  TestDirectory dir;
  WriteTestFile(dir.path() + "/a", std::string(100000, 'x'));
  std::filesystem::create_directory(dir.path() + "/sub");
  ASSERT_EQ(link((dir.path() + "/a").c_str(), (dir.path() + "/sub/b").c_str()), 0);
  ASSERT_EQ(symlink("/", (dir.path() + "/root").c_str()), 0);
  const auto usage = MeasureTree(Open(dir.path()).get(), Never);
  ASSERT_TRUE(usage.ok());
  EXPECT_EQ((*usage).inodes, 4u);
  EXPECT_LT((*usage).bytes, 200000u);
}

TEST(TreeUsage, DeepTreesAreCountedAndEmptied) {
  TestDirectory dir;
  std::filesystem::create_directory(dir.path() + "/trash");
  MakeDeep(dir.path() + "/trash", 1000);
  std::filesystem::create_directory(dir.path() + "/trash/directory/second");  // after the way back up
  WriteTestFile(dir.path() + "/trash/directory/second/file", "x");
  const sdk::UniqueFd trash = Open(dir.path() + "/trash");
  const auto usage = MeasureTree(trash.get(), Never);
  ASSERT_TRUE(usage.ok()) << usage.status().message();
  EXPECT_EQ((*usage).inodes, 1004u);
  const sdk::Status emptied = EmptyTrash(trash.get(), Never);
  EXPECT_TRUE(emptied.ok()) << emptied.message();
  EXPECT_TRUE(std::filesystem::is_empty(dir.path() + "/trash"));
}

uint64_t FingerprintOf(const std::string& path) {
  const auto usage = MeasureTree(Open(path).get(), Never);
  EXPECT_TRUE(usage.ok()) << usage.status().message();
  return usage.ok() ? (*usage).fingerprint : 0;
}

// A tree with one entry of each kind, whatever the umask.
void MakeKinds(const std::string& top) {
  std::filesystem::create_directories(top + "/sub/deeper");
  WriteTestFile(top + "/sub/file", "12345");
  ASSERT_EQ(symlink("target", (top + "/sub/link").c_str()), 0);
  ASSERT_EQ(mknod((top + "/sub/whiteout").c_str(), S_IFCHR, 0), 0);
  ASSERT_EQ(chmod((top + "/sub/whiteout").c_str(), 0600), 0);
  ASSERT_EQ(chmod((top + "/sub/file").c_str(), 0644), 0);
  for (const char* directory : {"", "/sub", "/sub/deeper"}) ASSERT_EQ(chmod((top + directory).c_str(), 0755), 0);
}

// Databases have it: a fingerprint of an older release has to be met by this one.
TEST(TreeUsage, TheFingerprintOfATreeIsForEver) {
  TestDirectory dir;
  ASSERT_NO_FATAL_FAILURE(MakeKinds(dir.path()));
  EXPECT_EQ(FingerprintOf(dir.path()), 3575539961608542268u);
}

TEST(TreeUsage, TheFingerprintIsAnotherWhenAnythingIsMissing) {
  const std::pair<const char*, std::function<void(const std::string&)>> changes[] = {
      {"a file is gone", [](const std::string& top) { std::filesystem::remove(top + "/sub/file"); }},
      {"a file is shorter", [](const std::string& top) { ASSERT_EQ(truncate((top + "/sub/file").c_str(), 4), 0); }},
      {"a file is empty", [](const std::string& top) { ASSERT_EQ(truncate((top + "/sub/file").c_str(), 0), 0); }},
      {"a link is gone", [](const std::string& top) { std::filesystem::remove(top + "/sub/link"); }},
      {"a whiteout is gone", [](const std::string& top) { std::filesystem::remove(top + "/sub/whiteout"); }},
      {"a directory is gone", [](const std::string& top) { std::filesystem::remove(top + "/sub/deeper"); }},
      {"all is gone", [](const std::string& top) { std::filesystem::remove_all(top + "/sub"); }},
      {"the root has another mode", [](const std::string& top) { ASSERT_EQ(chmod(top.c_str(), 0700), 0); }},
      {"a file has another owner",
       [](const std::string& top) { ASSERT_EQ(chown((top + "/sub/file").c_str(), 1, 0), 0); }},
      {"a file is elsewhere",
       [](const std::string& top) { std::filesystem::rename(top + "/sub/file", top + "/sub/deeper/file"); }},
      {"a file is a directory",
       [](const std::string& top) {
         std::filesystem::remove(top + "/sub/file");
         std::filesystem::create_directory(top + "/sub/file");
       }},
      {"there is something more", [](const std::string& top) { WriteTestFile(top + "/sub/more", ""); }},
  };
  for (const auto& [what, change] : changes) {
    TestDirectory dir;
    ASSERT_NO_FATAL_FAILURE(MakeKinds(dir.path()));
    const uint64_t before = FingerprintOf(dir.path());
    EXPECT_EQ(FingerprintOf(dir.path()), before);
    change(dir.path());
    EXPECT_NE(FingerprintOf(dir.path()), before) << what;
  }
}

TEST(TreeUsage, TheFingerprintDoesNotDependOnWhereAndWhenTheTreeWasMade) {
  TestDirectory one, two;
  ASSERT_NO_FATAL_FAILURE(MakeKinds(one.path()));
  WriteTestFile(two.path() + "/first", "");  // another order of the entries
  ASSERT_NO_FATAL_FAILURE(MakeKinds(two.path()));
  std::filesystem::remove(two.path() + "/first");
  const timespec times[2] = {{1, 0}, {1, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, (two.path() + "/sub/file").c_str(), times, 0), 0);
  EXPECT_EQ(FingerprintOf(one.path()), FingerprintOf(two.path()));
}

TEST(TreeUsage, GivesUpWhenTold) {
  TestDirectory dir;
  for (int i = 0; i < 2000; ++i) WriteTestFile(dir.path() + "/" + std::to_string(i), "");
  EXPECT_EQ(MeasureTree(Open(dir.path()).get(), [] { return true; }).status().code(), sdk::Code::kCancelled);
}

TEST(Trash, TakesWhatIsMovedThereAndFollowsNoLink) {
  TestDirectory dir;
  for (const char* name : {"/from", "/from/7", "/trash", "/kept"}) std::filesystem::create_directory(dir.path() + name);
  WriteTestFile(dir.path() + "/kept/file", "x");
  ASSERT_EQ(symlink((dir.path() + "/kept").c_str(), (dir.path() + "/from/7/link").c_str()), 0);
  const sdk::UniqueFd from = Open(dir.path() + "/from"), trash = Open(dir.path() + "/trash");
  ASSERT_TRUE(MoveToTrash(from.get(), "7", trash.get()).ok());
  EXPECT_EQ(MoveToTrash(from.get(), "7", trash.get()).code(), sdk::Code::kNotFound);
  EXPECT_TRUE(std::filesystem::is_empty(dir.path() + "/from"));
  EXPECT_TRUE(EmptyTrash(trash.get(), Never).ok());
  EXPECT_TRUE(std::filesystem::is_empty(dir.path() + "/trash"));
  EXPECT_TRUE(std::filesystem::exists(dir.path() + "/kept/file"));
}

TEST(Trash, GivesUpWhenTold) {
  TestDirectory dir;
  WriteTestFile(dir.path() + "/file", "");
  EXPECT_EQ(EmptyTrash(Open(dir.path()).get(), [] { return true; }).code(), sdk::Code::kCancelled);
  EXPECT_TRUE(std::filesystem::exists(dir.path() + "/file"));
}

}  // namespace
}  // namespace berth::snapshot_overlay
