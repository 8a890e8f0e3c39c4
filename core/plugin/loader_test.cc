#include "core/plugin/loader.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/base/file.h"
#include "core/plugin/conformance/plugin_under_test.h"
#include "core/plugin/elf_exports.h"
#include "gtest/gtest.h"

namespace berth {
namespace {

namespace fs = std::filesystem;

constexpr char kTestData[] = "core/plugin/testdata/";

class LoaderTest : public testing::Test {
 protected:
  // A copy of a test plugin that a test may do things to.
  std::string Copy(const std::string& name) {
    std::string to = scratch_.path() + "/" + name;
    fs::copy_file(kTestData + name, to, fs::copy_options::overwrite_existing);
    EXPECT_EQ(chmod(to.c_str(), 0755), 0);
    return to;
  }

  void ExpectRefused(const std::string& path, const std::string& why) {
    const absl::Status status = LoadModule(path, geteuid()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_EQ(status.message(), "load plugin " + path + ": " + why);
  }

  ScratchDirectory scratch_;
};

TEST_F(LoaderTest, LoadsAPlugin) {
  const auto module = LoadModule(Copy("throwing.so"), geteuid());
  ASSERT_TRUE(module.ok()) << module.status();
  EXPECT_EQ(module->name, "throwing");
  EXPECT_EQ(module->version, "1");
}

TEST_F(LoaderTest, ModulesThatAreNotOursAreRefused) {
  ExpectRefused(Copy("hostile_magic.so"), "wrong magic 0x12345678");
  ExpectRefused(Copy("hostile_major.so"), "it is for version 7.1 of the plugin interface, this is 0.1");
  ExpectRefused(Copy("hostile_short.so"),
                "its module struct has 16 bytes, not " + std::to_string(sizeof(berth_module)));
  ExpectRefused(Copy("hostile_null_query.so"), "its query function is NULL");
  ExpectRefused(Copy("hostile_name.so"), "its name is not [a-z0-9_-]{1,64}");
  ExpectRefused(Copy("hostile_null_name.so"), "its name is not [a-z0-9_-]{1,64}");
}

TEST_F(LoaderTest, OneSymbolAndNoMore) {
  const std::string path = Copy("hostile_two_symbols.so");
  const absl::Status status = LoadModule(path, geteuid()).status();
  EXPECT_NE(status.message().find("symbols instead of berth_module_v0 alone: "), absl::string_view::npos) << status;
  EXPECT_NE(status.message().find("another_symbol"), absl::string_view::npos) << status;
  ExpectRefused(Copy("exporting.so"), "it does not export berth_module_v0");
}

TEST_F(LoaderTest, WhatOthersMayWriteIsRefused) {
  const std::string path = Copy("throwing.so");
  ASSERT_EQ(chmod(path.c_str(), 0775), 0);
  ExpectRefused(path, "it is writable by its group or others (mode 0775)");
  ASSERT_EQ(chmod(path.c_str(), 0757), 0);
  ExpectRefused(path, "it is writable by its group or others (mode 0757)");
  ASSERT_EQ(chmod(path.c_str(), 0755), 0);
  ASSERT_EQ(chmod(scratch_.path().c_str(), 0777), 0);
  ExpectRefused(path, "its directory " + scratch_.path() + " is writable by its group or others (mode 0777)");
}

TEST_F(LoaderTest, TheLinksDirectoryCountsToo) {
  const std::string path = Copy("throwing.so"), open = scratch_.path() + "/open", link = open + "/link.so";
  ASSERT_EQ(mkdir(open.c_str(), 0777), 0);
  ASSERT_EQ(symlink(path.c_str(), link.c_str()), 0);
  ASSERT_EQ(chmod(open.c_str(), 0777), 0);
  ExpectRefused(link, "its directory " + open + " is writable by its group or others (mode 0777)");
  ASSERT_EQ(chmod(open.c_str(), 0755), 0);
  EXPECT_TRUE(LoadModule(link, geteuid()).ok());
}

TEST_F(LoaderTest, WhatBelongsToOthersIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  const std::string path = Copy("throwing.so");
  ASSERT_EQ(chown(path.c_str(), 4711, 0), 0);
  ExpectRefused(path, "it belongs to uid 4711, not to root");
  ASSERT_EQ(chown(path.c_str(), 0, 0), 0);
  ASSERT_EQ(chown(scratch_.path().c_str(), 4711, 0), 0);
  ExpectRefused(path, "its directory " + scratch_.path() + " belongs to uid 4711, not to root");
}

TEST_F(LoaderTest, WhatIsNoPluginIsRefused) {
  EXPECT_EQ(LoadModule(scratch_.path() + "/none.so", geteuid()).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(LoadModule("", geteuid()).status().code(), absl::StatusCode::kInvalidArgument);
  const std::string fifo = scratch_.path() + "/fifo.so", directory = scratch_.path() + "/directory.so";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  ExpectRefused(fifo, "not a regular file");
  ASSERT_EQ(mkdir(directory.c_str(), 0755), 0);
  ExpectRefused(directory, "not a regular file");
  const std::string text = scratch_.path() + "/text.so";
  std::ofstream(text) << std::string(1000, 'x');
  ExpectRefused(text, "not a plugin: no ELF file");
  std::ofstream(text).close();
  ExpectRefused(text, "not a plugin: its header is beyond its end");
  fs::copy_file("/bin/true", scratch_.path() + "/true.so");
  EXPECT_EQ(LoadModule(scratch_.path() + "/true.so", geteuid()).status().code(), absl::StatusCode::kFailedPrecondition);
}

// The parser sees what a broken disk or an attacker left: it answers, whatever the bytes are.
TEST(ElfExportsTest, SurvivesEveryTruncationAndManyChanges) {
  const auto file = ReadFile(std::string(kTestData) + "hostile_two_symbols.so", 64 << 20);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(ElfExports(*file).ok());
  for (size_t size = 0; size < file->size(); size += size < 256 ? 1 : 97) {
    EXPECT_FALSE(ElfExports(absl::string_view(*file).substr(0, size)).ok()) << size;
  }
  uint64_t random = 12345;
  for (int round = 0; round < 20000; ++round) {
    std::string changed = *file;
    for (int i = 0; i < 4; ++i) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      // Half of the changes hit the header and the section headers at the end, where they hurt most.
      const size_t range = (random & 1) != 0 ? 64 : changed.size();
      const size_t at = (random & 2) != 0 ? (random >> 16) % range : changed.size() - 1 - (random >> 16) % 2000;
      changed[at] = static_cast<char>(random >> 56);
    }
    static_cast<void>(ElfExports(changed));
  }
}

}  // namespace
}  // namespace berth
