#include "core/supervisor/program/mount_options.h"

#include <sys/mount.h>

#include "core/supervisor/program/namespaces.h"
#include "gtest/gtest.h"

namespace berth::supervisor {
namespace {

TEST(MountOptionsTest, FlagsPropagationAndData) {
  MountOptions o;
  ASSERT_TRUE(ParseMountOptions({"rbind", "ro", "nosuid", "noatime", "relatime", "rslave", "lowerdir=a:b", "x-comment",
                                 "userxattr", "x-berth.cwd=/snapshots"},
                                &o)
                  .ok());
  EXPECT_EQ(o.flags, static_cast<unsigned long>(MS_BIND | MS_REC | MS_RDONLY | MS_NOSUID | MS_RELATIME));
  EXPECT_EQ(o.propagation, static_cast<unsigned long>(MS_SLAVE | MS_REC));
  EXPECT_TRUE(o.explicit_flags);
  EXPECT_EQ(o.data, "lowerdir=a:b,userxattr");
  EXPECT_EQ(o.cwd, "/snapshots");
}

TEST(MountOptionsTest, IdMapsAndPlaces) {
  MountOptions o;
  ASSERT_TRUE(ParseMountOptions({"rbind", "x-berth.idmap", "x-berth.beside"}, &o).ok());
  EXPECT_TRUE(o.id_mapped && o.beside);
  ASSERT_TRUE(ParseMountOptions({"x-berth.idmap=/s", "x-berth.cwd=/s/layers"}, &o).ok());
  EXPECT_EQ(o.id_map_root, "/s");
  EXPECT_FALSE(o.id_mapped || o.beside);
  EXPECT_TRUE(ParseMountOptions({"x-berth.idmap=/s", "x-berth.cwd=/s"}, &o).ok());
  for (const auto& bad : std::vector<std::vector<std::string>>{{"x-berth.idmap"},
                                                               {"x-berth.idmap=/s", "x-berth.cwd=/st"},
                                                               {"x-berth.idmap=/s"},
                                                               {"x-berth.idmap=s", "x-berth.cwd=s"},
                                                               {"bind", "x-berth.idmap=/s", "x-berth.cwd=/s"}}) {
    EXPECT_FALSE(ParseMountOptions(bad, &o).ok()) << bad[0];
  }
}

TEST(MountOptionsTest, LaterOptionsWin) {
  MountOptions o;
  ASSERT_TRUE(ParseMountOptions({"ro", "rw", "noexec", "exec"}, &o).ok());
  EXPECT_EQ(o.flags, 0u);
  ASSERT_TRUE(ParseMountOptions({"defaults"}, &o).ok());
  EXPECT_FALSE(o.explicit_flags);
}

TEST(MountOptionsTest, Refusals) {
  MountOptions o;
  EXPECT_EQ(ParseMountOptions({"lowerdir=" + std::string(5000, 'x')}, &o).code,
            static_cast<uint32_t>(wire::kInvalidArgument));
  EXPECT_FALSE(ParseMountOptions({std::string("a\0b", 3)}, &o).ok());
  EXPECT_FALSE(ParseMountOptions({"x-berth.cwd=relative"}, &o).ok());
  EXPECT_FALSE(ParseMountOptions({"x-berth.cwd=/a/../b"}, &o).ok());
}

TEST(SysctlPathTest, OnlyWhatBelongsToThePod) {
  wire::LaunchSpec spec;
  spec.new_network = spec.new_ipc = spec.new_uts = true;
  auto path = [&](const char* name) {
    std::string p;
    return SysctlPath(spec, name, &p).ok() ? p : "";
  };
  EXPECT_EQ(path("net.core.somaxconn"), "/proc/sys/net/core/somaxconn");
  EXPECT_EQ(path("net/core/somaxconn"), "/proc/sys/net/core/somaxconn");
  EXPECT_EQ(path("net.ipv4.conf.eth0/5.forwarding"), "/proc/sys/net/ipv4/conf/eth0.5/forwarding");
  EXPECT_EQ(path("kernel.shmmax"), "/proc/sys/kernel/shmmax");
  EXPECT_EQ(path("fs.mqueue.msg_max"), "/proc/sys/fs/mqueue/msg_max");
  for (const char* bad : {"", "net", "kernel.panic", "vm.swappiness", "net/../kernel/panic", "net..x", "/net/x",
                          "net./././kernel", "fs.file-max"}) {
    EXPECT_EQ(path(bad), "") << bad;
  }
  spec.new_network = false;
  EXPECT_EQ(path("net.core.somaxconn"), "");
}

TEST(CleanPathTest, Paths) {
  for (const char* good : {"/", "/a", "/a/b.c", "/a//b", "/..a"}) EXPECT_TRUE(IsCleanPath(good)) << good;
  for (const char* bad : {"", "a", "/..", "/a/../b", "/a/.", "/./a"}) EXPECT_FALSE(IsCleanPath(bad)) << bad;
  EXPECT_FALSE(IsCleanPath(std::string("/a\0b", 4)));
  EXPECT_FALSE(IsCleanPath("/" + std::string(5000, 'x')));
}

}  // namespace
}  // namespace berth::supervisor
