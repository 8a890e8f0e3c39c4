#include "plugins/registry_layout/tar_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "berth/sdk/unique_fd.h"
#include "plugins/registry_layout/read_at.h"
#include "plugins/registry_layout/tar_writer.h"

namespace berth::registry_layout {
namespace {

using sdk::Code;
using ::testing::HasSubstr;

struct Archive {
  explicit Archive(const std::string& text, const TarLimits& limits = {})
      : fd(memfd_create("tar", MFD_CLOEXEC)), index(sdk::Internal("unset")) {
    if (write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) abort();
    index = TarIndex::Read(fd.get(), text.size(), limits);
  }
  // Contents of a member, or "CODE: why not".
  std::string Read(const std::string& name) {
    if (!index.ok()) return "refused: " + index.status().message();
    const auto extent = index->Find(name);
    if (!extent.ok())
      return std::to_string(static_cast<int>(extent.status().code())) + ": " + extent.status().message();
    std::string out(extent->size, '\0');
    EXPECT_TRUE(ReadAt(fd.get(), extent->offset, out.data(), out.size()).ok());
    return out;
  }
  sdk::UniqueFd fd;
  sdk::Result<TarIndex> index;
};

sdk::Status Refused(const std::string& text, const TarLimits& limits = {}) {
  return Archive(text, limits).index.status();
}

TEST(TarIndex, FindsFiles) {
  Archive a(TarWriter().Add("./a", "alpha").Add("d/", "", '5').Add("d/b", std::string(1000, 'b')).Add("e", "").End());
  EXPECT_EQ(a.Read("a"), "alpha");
  EXPECT_EQ(a.Read("./d//b"), std::string(1000, 'b'));
  EXPECT_EQ(a.Read("e"), "");
  EXPECT_EQ(a.Read("d"), "5: d in the archive is not a regular file");
  EXPECT_EQ(a.Read("x"), "5: no x in the archive");
}

TEST(TarIndex, TheLaterOfTwoCounts) {
  EXPECT_EQ(Archive(TarWriter().Add("a", "1").Add("a", "2").End()).Read("a"), "2");
}

TEST(TarIndex, LongNames) {
  const std::string name = std::string(150, 'n') + "/" + std::string(150, 'm');
  EXPECT_EQ(Archive(TarWriter().Add("long", name + '\0', 'L').Add("cut", "x").End()).Read(name), "x");
  EXPECT_EQ(Archive(TarWriter().Pax("path", name).Add("cut", "x").Add("next", "y").End()).Read(name), "x");
  EXPECT_EQ(Archive(TarWriter().Pax("path", name).Add("cut", "x").Add("next", "y").End()).Read("next"), "y");
  std::string block = TarWriter().Header("tail", 1).Unended();
  block.replace(345, 6, "prefix");
  EXPECT_EQ(Archive(TarWriter().Raw(TarWriter::Sealed(block)).Data("z").End()).Read("prefix/tail"), "z");
}

TEST(TarIndex, SizesInPaxAndBase256) {
  EXPECT_EQ(Archive(TarWriter().Pax("size", "3").Header("a", 0).Data("abc").Add("b", "q").End()).Read("a"), "abc");
  std::string block = TarWriter().Header("a", 0).Unended();
  block.replace(124, 12, std::string("\x80\0\0\0\0\0\0\0\0\0\0\3", 12));
  EXPECT_EQ(Archive(TarWriter().Raw(TarWriter::Sealed(block)).Data("abc").End()).Read("a"), "abc");
}

TEST(TarIndex, Links) {
  Archive a(TarWriter()
                .Add("x/file", "data")
                .Add("hard", "", '1', "x/file")
                .Add("y/soft", "", '2', "../x/file")
                .Add("z", "", '2', "y/soft")
                .Add("loop1", "", '2', "loop2")
                .Add("loop2", "", '2', "loop1")
                .Add("self", "", '1', "self")
                .Add("out", "", '2', "../../etc/passwd")
                .Add("root", "", '2', "/etc/passwd")
                .Add("gone", "", '2', "nowhere")
                .End());
  EXPECT_EQ(a.Read("hard"), "data");
  EXPECT_EQ(a.Read("y/soft"), "data");
  EXPECT_EQ(a.Read("z"), "data");
  EXPECT_THAT(a.Read("loop1"), HasSubstr("a cycle"));
  EXPECT_THAT(a.Read("self"), HasSubstr("a cycle"));
  EXPECT_THAT(a.Read("out"), HasSubstr("leads out of it"));
  EXPECT_THAT(a.Read("root"), HasSubstr("leads out of it"));
  EXPECT_THAT(a.Read("gone"), HasSubstr("no nowhere in the archive, to which gone leads"));
  EXPECT_THAT(a.Read("../x/file"), HasSubstr("leads out of it"));
}

TEST(TarIndex, NamesThatLeadOut) {
  for (const std::string name : {"../a", "a/../../b", "/etc/passwd", "a/.."}) {
    const sdk::Status status = Refused(TarWriter().Add(name, "x").End());
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << name;
    EXPECT_THAT(status.message(), HasSubstr("leads out of the archive"));
  }
  EXPECT_EQ(Archive(TarWriter().Add("a..b/..c", "x").End()).Read("a..b/..c"), "x");
  EXPECT_FALSE(Archive(TarWriter().Pax("path", std::string("a\0b", 3)).Add("c", "").End()).index.ok());
}

TEST(TarIndex, Damage) {
  const std::string good = TarWriter().Add("a", std::string(2000, 'x')).End();
  EXPECT_THAT(Refused(good.substr(0, 1500)).message(), HasSubstr("the archive is cut off"));
  EXPECT_THAT(Refused(good.substr(0, 300)).message(), HasSubstr("the archive is cut off in a header"));
  std::string flipped = good;
  flipped[3] = 'q';
  EXPECT_EQ(Refused(flipped).code(), Code::kDataLoss);
  EXPECT_THAT(Refused(flipped).message(), HasSubstr("checksum"));
  EXPECT_FALSE(Refused("this is no archive at all" + std::string(600, '.')).ok());
  EXPECT_TRUE(Archive("").index.ok()) << "an archive of nothing";
  EXPECT_THAT(Refused(TarWriter().Header("a", 1ull << 30).End()).message(), HasSubstr("1073741824 bytes, but only"));
  std::string block = TarWriter().Header("a", 0).Unended();
  block.replace(124, 12, std::string("\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12));
  EXPECT_THAT(Refused(TarWriter::Sealed(block)).message(), HasSubstr("size is not a number"));
  for (const char* record : {"12 path", "99999999999999999999 a=b\n", "0 a=b\n", "5 =b\n\n", "7 a=bb\nx", "x"}) {
    EXPECT_THAT(Refused(TarWriter().Add("p", record, 'x').Add("a", "").End()).message(), HasSubstr("pax")) << record;
  }
  EXPECT_FALSE(Refused(TarWriter().Pax("size", "12x").Add("a", "").End()).ok());
  EXPECT_FALSE(Refused(TarWriter().Pax("size", "999999999999999999").Add("a", "").End()).ok());
}

TEST(TarIndex, WhatIsNotSupportedIsSaid) {
  EXPECT_THAT(Refused(std::string("\x1f\x8b\x08\x00", 4) + std::string(600, 'z')).message(), HasSubstr("gzip"));
  EXPECT_THAT(Refused(std::string("\x28\xb5\x2f\xfd", 4) + std::string(600, 'z')).message(), HasSubstr("zstd"));
  EXPECT_EQ(Refused(TarWriter().Add("a", "", 'S').End()).code(), Code::kUnimplemented);
  EXPECT_EQ(Refused(TarWriter().Pax("GNU.sparse.major", "1").Add("a", "").End()).code(), Code::kUnimplemented);
  EXPECT_EQ(Refused(TarWriter().Add("a", "", 'M').End()).code(), Code::kUnimplemented);
}

TEST(TarIndex, Limits) {
  TarLimits limits;
  limits.members = 3;
  EXPECT_EQ(Refused(TarWriter().Add("a", "").Add("a", "").Add("a", "").Add("a", "").End(), limits).code(),
            Code::kResourceExhausted);
  EXPECT_EQ(Refused(TarWriter().Add("x", std::string(2 << 20, 'x'), 'x').End()).code(), Code::kResourceExhausted);
  EXPECT_EQ(Refused(TarWriter().Add("l", std::string(5000, 'n'), 'L').Add("a", "").End()).code(),
            Code::kResourceExhausted);
  TarWriter many;
  for (int i = 0; i < 20; ++i) many.Add("l", "n", 'L');
  EXPECT_EQ(Refused(many.End(), limits).code(), Code::kResourceExhausted);
}

}  // namespace
}  // namespace berth::registry_layout
