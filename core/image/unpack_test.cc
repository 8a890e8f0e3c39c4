#include "core/image/unpack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/image/testing/tar_builder.h"
#include "gtest/gtest.h"

namespace berth {
namespace {

// A directory to unpack into, and one beside it that nothing may touch.
class Unpack : public testing::Test {
 protected:
  void SetUp() override {
    const char* base = getenv("TEST_TMPDIR");
    std::string pattern = absl::StrCat(base == nullptr ? "/tmp" : base, "/unpack.XXXXXX");
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    top_ = pattern;
    root_ = top_ + "/root";
    ASSERT_EQ(mkdir(root_.c_str(), 0755), 0);
    ASSERT_TRUE(WriteFileAtomic(top_ + "/outside", "untouched", 0600, Durability::kVolatile).ok());
  }

  // Whatever happened, it can be removed, and nothing outside has changed.
  void TearDown() override {
    EXPECT_EQ(*ReadFile(top_ + "/outside"), "untouched");
    EXPECT_EQ(ListDir(top_)->size(), 2u);
    struct stat st;
    ASSERT_EQ(stat((top_ + "/outside").c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0600u);
    EXPECT_EQ(st.st_nlink, 1u);
    EXPECT_TRUE(RemoveTree(top_).ok());
  }

  absl::StatusOr<UnpackResult> Run(const std::string& tar, WhiteoutStyle style = WhiteoutStyle::kOverlay,
                                   size_t piece = 4000) {
    auto dir = OpenFile(root_, O_RDONLY | O_DIRECTORY);
    if (!dir.ok()) return dir.status();
    size_t at = 0;
    return UnpackTar(dir->get(), style, limits_, [&]() -> absl::StatusOr<absl::string_view> {
      const absl::string_view next = absl::string_view(tar).substr(at, piece);
      at += next.size();
      return next;
    });
  }

  void ExpectOk(const TarBuilder& tar, WhiteoutStyle style = WhiteoutStyle::kOverlay) {
    const auto result = Run(tar.Build(), style);
    EXPECT_TRUE(result.ok()) << result.status();
  }

  void ExpectRefused(const TarBuilder& tar, absl::string_view why) {
    const auto result = Run(tar.Build());
    EXPECT_TRUE(absl::IsInvalidArgument(result.status())) << result.status();
    EXPECT_TRUE(absl::StrContains(result.status().message(), why)) << result.status();
  }

  struct stat Stat(const std::string& path) {
    struct stat st {};
    EXPECT_EQ(lstat((root_ + "/" + path).c_str(), &st), 0) << path;
    return st;
  }
  bool Exists(const std::string& path) {
    return faccessat(AT_FDCWD, (root_ + "/" + path).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  }
  std::string Read(const std::string& path) {
    auto data = ReadFile(root_ + "/" + path);
    return data.ok() ? *data : data.status().ToString();
  }
  std::string Xattr(const std::string& path, const char* name) {
    char value[256];
    const ssize_t size = lgetxattr((root_ + "/" + path).c_str(), name, value, sizeof(value));
    return size < 0 ? "none" : std::string(value, size);
  }
  bool IsWhiteout(const std::string& path) {
    const struct stat st = Stat(path);
    return S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0);
  }

  std::string top_, root_;
  UnpackLimits limits_;
};

TEST_F(Unpack, FilesOfEveryKindWithTheirAttributes) {
  TarBuilder tar;
  tar.Dir("./", 0711).Dir("./bin", 01777).File("bin/su", "program", 04755).Symlink("bin/sh", "/bin/su");
  tar.HardLink("bin/again", "./bin/su");
  TarEntry fifo;
  fifo.name = "fifo";
  fifo.type = '6';
  fifo.mode = 0620;
  TarEntry device;
  device.name = "null";
  device.type = '3';
  device.mode = 0666;
  device.major = 1;
  device.minor = 3;
  TarEntry owned;
  owned.name = "owned";
  owned.uid = 1000;
  owned.gid = 3'000'000'000;
  owned.mode = 06711;
  owned.data = std::string(1'000'000, 'x');
  owned.pax = {{"mtime", "1234567890.123456789"}};
  tar.Add(fifo).Add(device).Add(owned);
  const auto result = Run(tar.Build());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->entries, 8u);
  EXPECT_EQ(result->bytes, 1'000'007u);

  EXPECT_EQ(Stat("").st_mode & 07777, 0711u);
  EXPECT_EQ(Stat("").st_mtime, 1'600'000'000);
  EXPECT_EQ(Stat("bin").st_mode & 07777, 01777u);
  EXPECT_EQ(Stat("bin").st_mtime, 1'600'000'000);
  EXPECT_EQ(Stat("bin/su").st_mode & 07777, 04755u);
  EXPECT_EQ(Read("bin/su"), "program");
  EXPECT_EQ(Stat("bin/su").st_ino, Stat("bin/again").st_ino);
  EXPECT_TRUE(S_ISLNK(Stat("bin/sh").st_mode));
  EXPECT_EQ(Stat("bin/sh").st_mtime, 1'600'000'000);
  EXPECT_TRUE(S_ISFIFO(Stat("fifo").st_mode));
  EXPECT_EQ(Stat("fifo").st_mode & 07777, 0620u);
  EXPECT_TRUE(S_ISCHR(Stat("null").st_mode));
  EXPECT_EQ(Stat("null").st_rdev, makedev(1, 3));
  EXPECT_EQ(Stat("owned").st_uid, 1000u);
  EXPECT_EQ(Stat("owned").st_gid, 3'000'000'000u);
  EXPECT_EQ(Stat("owned").st_mode & 07777, 06711u);
  EXPECT_EQ(Stat("owned").st_mtim.tv_sec, 1234567890);
  EXPECT_EQ(Stat("owned").st_mtim.tv_nsec, 123456789);
  EXPECT_EQ(Read("owned").size(), 1'000'000u);
}

TEST_F(Unpack, NamesInUtf8AndLongOnes) {
  const std::string name = std::string(120, 'n') + "/\xc3\xa4\xe4\xb8\xad-" + std::string(200, 'm');
  ExpectOk(TarBuilder().File(name, "long").Symlink("l", std::string(300, 't')).File("latin\xe4", "raw"));
  EXPECT_EQ(Read(name), "long");
  EXPECT_EQ(Stat("l").st_size, 300);
  EXPECT_EQ(Read("latin\xe4"), "raw");
}

TEST_F(Unpack, ExtendedAttributes) {
  // A version 2 capability: cap_net_raw+ep.
  const std::string capability("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
  TarEntry entry;
  entry.name = "ping";
  entry.data = "p";
  entry.uid = 5;
  entry.mode = 0755;
  entry.pax = {{"SCHILY.xattr.security.capability", capability},
               {"SCHILY.xattr.user.note", "hello"},
               {"SCHILY.xattr.trusted.overlay.opaque", "y"},
               {"SCHILY.xattr.user.overlay.opaque", "y"},
               {"SCHILY.xattr.security.selinux", "label"}};
  const auto result = Run(TarBuilder().Add(entry).Build());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Xattr("ping", "security.capability"), capability);
  EXPECT_TRUE(Xattr("ping", "user.note") == "hello" || result->ignored_xattrs == 4);  // tmpfs may not hold it
  EXPECT_EQ(Xattr("ping", "trusted.overlay.opaque"), "none");
  EXPECT_EQ(Xattr("ping", "user.overlay.opaque"), "none");
  EXPECT_GE(result->ignored_xattrs, 3u);

  limits_.max_xattr_bytes = 100;
  entry.pax = {{"SCHILY.xattr.user.big", std::string(101, 'x')}};
  ExpectRefused(TarBuilder().Add(entry), "extended attributes");
}

TEST_F(Unpack, SparseFilesKeepTheirHoles) {
  // GNU.sparse 1.0: a map of (offset, length) pairs at the beginning of the data.
  TarEntry entry;
  entry.name = "GNUSparseFile.0/sparse";
  entry.pax = {{"GNU.sparse.major", "1"},
               {"GNU.sparse.minor", "0"},
               {"GNU.sparse.name", "sparse"},
               {"GNU.sparse.realsize", "104857600"}};
  std::string map = "2\n1048576\n4\n104857600\n0\n";
  map.resize(512, '\0');
  entry.data = map + "DATA";
  ExpectOk(TarBuilder().Add(entry));
  EXPECT_EQ(Stat("sparse").st_size, 104857600);
  EXPECT_LT(Stat("sparse").st_blocks * 512, 1 << 20);
  auto fd = OpenFile(root_ + "/sparse", O_RDONLY);
  char data[4];
  EXPECT_EQ(pread(fd->get(), data, 4, 1048576), 4);
  EXPECT_EQ(std::string(data, 4), "DATA");
}

TEST_F(Unpack, OverlayWhiteouts) {
  ExpectOk(TarBuilder()
               .Dir("d")
               .File("d/.wh.gone", "")
               .File("d/.wh..wh..opq", "")
               .File("implicit/.wh.gone", "")
               .File(".wh..wh.plnk", "")
               .File("kept", "mine")
               .File(".wh.kept", "")
               .Dir("both")
               .File("both/file", "x")
               .File(".wh.both", "")
               .File(".wh.later", "")
               .Dir("later")
               .File(".wh.laterfile", "")
               .File("laterfile", "new"));
  EXPECT_TRUE(IsWhiteout("d/gone"));
  EXPECT_EQ(Xattr("d", "trusted.overlay.opaque"), "y");
  EXPECT_TRUE(IsWhiteout("implicit/gone"));
  EXPECT_FALSE(Exists(".wh..wh.plnk"));
  EXPECT_EQ(Read("kept"), "mine");
  EXPECT_EQ(Read("both/file"), "x");
  EXPECT_EQ(Xattr("both", "trusted.overlay.opaque"), "y");
  EXPECT_EQ(Xattr("later", "trusted.overlay.opaque"), "y");
  EXPECT_EQ(Read("laterfile"), "new");
  EXPECT_FALSE(Exists("d/.wh.gone"));
}

TEST_F(Unpack, WhiteoutsOfATreeWithItsParentsFiles) {
  ExpectOk(
      TarBuilder().File("a/1", "").File("a/2", "").File("b/sub/1", "").File("b/2", "").File("c", "").File("e/1", ""),
      WhiteoutStyle::kNone);
  ExpectOk(TarBuilder()
               .File(".wh.c", "")
               .File("a/.wh.1", "")
               .File("a/.wh.missing", "")
               .File("nowhere/.wh.x", "")
               .File("b/sub/new", "")
               .File("b/.wh..wh..opq", "")
               .File("e", "a file now"),
           WhiteoutStyle::kNone);
  EXPECT_FALSE(Exists("c"));
  EXPECT_FALSE(Exists("a/1"));
  EXPECT_TRUE(Exists("a/2"));
  EXPECT_FALSE(Exists("nowhere"));
  EXPECT_TRUE(Exists("b/sub/new"));
  EXPECT_FALSE(Exists("b/sub/1"));
  EXPECT_FALSE(Exists("b/2"));
  EXPECT_EQ(Read("e"), "a file now");
}

TEST_F(Unpack, LaterEntriesWin) {
  ExpectOk(TarBuilder()
               .File("f", "one")
               .File("f", "two", 0600)
               .Dir("d", 0700)
               .File("d/x", "")
               .Dir("d", 0750)
               .Dir("gone")
               .File("gone/deep/file", "")
               .Symlink("gone", "f")
               .Symlink("link", "d")
               .Dir("link")
               .File("link/inner", "")
               .File("self", "s")
               .HardLink("self", "self"));
  EXPECT_EQ(Read("f"), "two");
  EXPECT_EQ(Stat("f").st_mode & 07777, 0600u);
  EXPECT_EQ(Stat("d").st_mode & 07777, 0750u);
  EXPECT_TRUE(Exists("d/x"));
  EXPECT_TRUE(S_ISLNK(Stat("gone").st_mode));
  EXPECT_TRUE(S_ISDIR(Stat("link").st_mode));
  EXPECT_FALSE(Exists("d/inner"));
  EXPECT_EQ(Read("self"), "s");
}

TEST_F(Unpack, LinksAreFollowedInsideOnly) {
  ExpectOk(TarBuilder()
               .Dir("usr/lib")
               .Symlink("lib", "usr/lib")
               .File("lib/a", "inside")
               .Symlink("abs", "/usr")
               .File("abs/b", "inside")
               .Symlink("up", "../../../..")
               .File("up/outside", "inside")
               .Symlink("etc", top_)  // an absolute path that exists outside
               .Dir(top_)
               .File("etc/outside", "inside"));
  EXPECT_EQ(Read("usr/lib/a"), "inside");
  EXPECT_EQ(Read("usr/b"), "inside");
  EXPECT_EQ(Read("outside"), "inside");
  EXPECT_EQ(Read(top_.substr(1) + "/outside"), "inside");
}

TEST_F(Unpack, FilesAreNotWrittenThroughLinks) {
  ExpectOk(TarBuilder()
               .Symlink("x", top_ + "/outside")
               .File("x", "hostile", 0777)
               .Symlink("y", "../outside")
               .HardLink("z", "y"));
  EXPECT_TRUE(S_ISREG(Stat("x").st_mode));
  EXPECT_TRUE(S_ISLNK(Stat("z").st_mode));
  ExpectOk(TarBuilder().File("z", "hostile", 0777).Dir("y", 0777));
}

TEST_F(Unpack, AbsoluteNamesStayInside) {
  ExpectOk(TarBuilder().File(top_ + "/outside", "inside").HardLink("//hard", top_ + "/outside"));
  EXPECT_EQ(Read(top_.substr(1) + "/outside"), "inside");
  EXPECT_EQ(Read("hard"), "inside");
}

TEST_F(Unpack, EscapesAreRefused) {
  ExpectRefused(TarBuilder().File("../outside", "x"), "..");
  ExpectRefused(TarBuilder().File("a/../../outside", "x"), "..");
  ExpectRefused(TarBuilder().Dir(".."), "..");
  ExpectRefused(TarBuilder().HardLink("h", "../outside"), "..");
  ExpectRefused(TarBuilder().HardLink("h", top_ + "/outside"), "does not have");
  ExpectRefused(TarBuilder().Symlink("up", "..").HardLink("h", "up/missing"), "does not have");
  ExpectRefused(TarBuilder().Dir("d").HardLink("h", "d"), "directory");
  ExpectRefused(TarBuilder().File(".wh.w", "").HardLink("h", "w"), "does not have");
  ExpectRefused(TarBuilder().File(".wh...", ""), "whiteout");
  ExpectRefused(TarBuilder().File("a/.wh..", ""), "whiteout");
  ExpectRefused(TarBuilder().File(".wh.", ""), "whiteout");
  ExpectRefused(TarBuilder().File("../.wh.outside", ""), "..");
  ExpectRefused(TarBuilder().File("f", "").File("f/below", ""), "f/below");
  ExpectRefused(TarBuilder().Symlink("loop", "loop").File("loop/x", ""), "loop");
  ExpectRefused(TarBuilder().Symlink("dangling", "nowhere").File("dangling/x", ""), "dangling");
  ExpectRefused(TarBuilder().File(".", "root"), "root");
  ExpectRefused(TarBuilder().Symlink("proc", "/proc/self/root").File("proc/outside", ""), "proc");
}

TEST_F(Unpack, DeviceTricksAreRefused) {
  TarEntry device;
  device.name = "dev";
  device.type = '3';
  ExpectRefused(TarBuilder().Add(device), "0:0");
  device.major = 1 << 13;
  device.minor = 1;
  ExpectRefused(TarBuilder().Add(device), "out of range");
}

TEST_F(Unpack, LimitsHold) {
  ExpectRefused(TarBuilder().File(std::string(5000, 'p'), ""), "longer than");
  ExpectRefused(TarBuilder().File(std::string(300, 'n'), ""), "too long");
  std::string deep;
  for (int i = 0; i < 300; ++i) deep += "d/";
  ExpectRefused(TarBuilder().Dir(deep), "deeper");
  limits_.max_entries = 3;
  ExpectRefused(TarBuilder().Dir("a").Dir("b").Dir("c").Dir("d"), "entries");
  limits_ = {};
  limits_.max_bytes = 10;
  EXPECT_TRUE(absl::IsResourceExhausted(Run(TarBuilder().File("f", "0123456789a").Build()).status()));
  limits_ = {};
  limits_.max_file_bytes = 10;
  ExpectRefused(TarBuilder().File("g", "0123456789a"), "11 bytes");
}

TEST_F(Unpack, LinksDoNotLeadDeeperThanTheLimit) {
  limits_.max_depth = 20;
  TarBuilder tar;
  std::string at;
  for (int round = 0; round < 10; ++round) {
    const std::string link = absl::StrCat("l", round);
    const std::string below = (at.empty() ? "" : at + "/") + "a/b/c/d/e/f/g";
    tar.Dir(below).Symlink(link, below);
    at = link;
  }
  ExpectRefused(tar, "directories below each other");
}

TEST_F(Unpack, OwnersOutOfRangeAreRefused) {
  TarEntry entry;
  entry.name = "f";
  entry.uid = 4294967295;
  ExpectRefused(TarBuilder().Add(entry), "owner");
  entry.uid = uint64_t{1} << 40;
  ExpectRefused(TarBuilder().Add(entry), "owner");
}

TEST_F(Unpack, EmptyArchives) {
  EXPECT_TRUE(Run("").ok());
  EXPECT_TRUE(Run(std::string(1024, '\0')).ok());
  EXPECT_TRUE(Run(std::string(10240, '\0')).ok());
}

TEST_F(Unpack, DamagedArchivesAreRefused) {
  const std::string good = TarBuilder().File("a", std::string(2000, 'a')).Dir("b").File("c", "c").Build();
  for (size_t cut : {100ul, 511ul, 513ul, 1000ul, 2560ul - 1}) {
    const auto result = Run(good.substr(0, cut));
    EXPECT_TRUE(absl::IsInvalidArgument(result.status())) << cut << " " << result.status();
  }
  std::string bad = good;
  bad[2560 + 110] ^= 1;  // in the second header: its checksum is wrong
  EXPECT_TRUE(absl::IsInvalidArgument(Run(bad).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Run("this is no tar archive at all" + std::string(1000, 'x')).status()));
}

TEST_F(Unpack, TheSourcesErrorIsTheAnswer) {
  auto dir = OpenFile(root_, O_RDONLY | O_DIRECTORY);
  const std::string start = TarBuilder().File("a", std::string(2000, 'a')).raw().substr(0, 1000);
  bool first = true;
  const auto result =
      UnpackTar(dir->get(), WhiteoutStyle::kOverlay, limits_, [&]() -> absl::StatusOr<absl::string_view> {
        if (std::exchange(first, false)) return absl::string_view(start);
        return absl::UnavailableError("connection lost");
      });
  EXPECT_TRUE(absl::IsUnavailable(result.status())) << result.status();
}

}  // namespace
}  // namespace berth
