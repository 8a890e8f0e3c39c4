// The rootfs in the short-lived child's mount namespace.
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/supervisor/supervisor_fixture.h"

namespace berth {
namespace {

class MountTest : public SupervisorTest {
 protected:
  void SetUp() override {
    SupervisorTest::SetUp();
    Launch(Spec());
    ASSERT_NE(supervisor_, nullptr);
  }

  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(MakeDirs(Path(name.substr(0, name.rfind('/')))).ok());
    ASSERT_TRUE(WriteFileAtomic(Path(name), text, 0644, Durability::kVolatile).ok());
  }

  static std::string ReadAt(int dir, const std::string& name) {
    auto file = OpenFileAt(dir, name, O_RDONLY);
    return file.ok() ? *ReadAll(file->get()) : std::string(file.status().message());
  }
};

TEST_F(MountTest, OverlayAndVolumesAreSeenByNobodyElse) {
  Write("snapshots/1/fs/base", "one");
  Write("snapshots/2/fs/top", "two");
  Write("snapshots/1/fs/data/.keep", "");
  Write("volume/inside", "volume");
  ASSERT_TRUE(MakeDirs(Path("snapshots/3/fs")).ok() && MakeDirs(Path("snapshots/3/work")).ok());
  ContainerPrepare prepare = Prepare("c1");
  prepare.mounts = {
      {"overlay",
       "overlay",
       "",
       {absl::StrCat("x-berth.cwd=", Path("snapshots")), "lowerdir=2/fs:1/fs", "upperdir=3/fs", "workdir=3/work"}},
      {"", Path("volume"), "data", {"rbind", "ro", "nosuid", "rprivate"}}};
  size_t mounts = CountMounts();
  auto prepared = supervisor_->PrepareContainer(Within(10), prepare);
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  EXPECT_EQ(CountMounts(), mounts);
  EXPECT_EQ(ReadAt(prepared->rootfs.get(), "base"), "one");
  EXPECT_EQ(ReadAt(prepared->rootfs.get(), "top"), "two");
  EXPECT_EQ(ReadAt(prepared->rootfs.get(), "data/inside"), "volume");
  EXPECT_EQ(openat(prepared->rootfs.get(), "data/x", O_CREAT | O_WRONLY | O_CLOEXEC, 0600), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_TRUE(ListDir(prepare.rootfs)->empty()) << "outside there is an empty directory";

  // The command runs where the mounts are.
  SupervisedCommand command = CreateCommand("c1", "true");
  command.argv = {"/bin/sh", "-c", absl::StrCat("cat ", prepare.rootfs, "/data/inside; exit 1")};
  auto result = supervisor_->Run(Within(10), command);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out, "volume");
}

TEST_F(MountTest, MoreLayersThanAPageCouldNameAbsolutely) {
  std::string lower = "lowerdir=";
  for (int i = 1; i <= 100; ++i) {
    Write(absl::StrCat("snapshots/", i, "/fs/f", i), "x");
    absl::StrAppend(&lower, i == 1 ? "" : ":", i, "/fs");
  }
  ContainerPrepare prepare = Prepare("c1");
  prepare.mounts = {{"overlay", "overlay", "", {lower, absl::StrCat("x-berth.cwd=", Path("snapshots"))}}};
  auto prepared = supervisor_->PrepareContainer(Within(10), prepare);
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  EXPECT_EQ(ReadAt(prepared->rootfs.get(), "f100"), "x");
  prepared->rootfs.reset();
  ASSERT_TRUE(supervisor_->Forget(Within(5), "c1", "").ok());
  lower.append(5000, '/');
  prepare.mounts[0].options[0] = lower;
  EXPECT_EQ(supervisor_->PrepareContainer(Within(10), prepare).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(MountTest, TargetsCannotLeaveTheRootfs) {
  Write("rootfs/etc/keep", "");
  Write("volume/inside", "volume");
  ASSERT_EQ(symlink("/", Path("rootfs/out").c_str()), 0);
  ASSERT_EQ(symlink("../../../../..", Path("rootfs/up").c_str()), 0);
  ContainerPrepare prepare = Prepare("c1");
  for (const char* target : {"out/etc", "up/etc", "../../etc"}) {
    prepare.mounts = {{"", Path("rootfs"), "", {"bind"}}, {"", Path("volume"), target, {"bind"}}};
    auto prepared = supervisor_->PrepareContainer(Within(10), prepare);
    ASSERT_TRUE(prepared.ok()) << prepared.status();
    EXPECT_EQ(ReadAt(prepared->rootfs.get(), "etc/inside"), "volume") << target;
    ASSERT_TRUE(supervisor_->Forget(Within(5), "c1", "").ok());
  }
}

TEST_F(MountTest, ErrorsSayWhatFailed) {
  ContainerPrepare prepare = Prepare("c1");
  prepare.mounts = {{"overlay", "overlay", "", {"lowerdir=/does/not/exist"}}};
  auto failed = supervisor_->PrepareContainer(Within(10), prepare);
  EXPECT_EQ(failed.status().code(), absl::StatusCode::kNotFound) << failed.status();
  EXPECT_TRUE(absl::StrContains(failed.status().message(), "mount overlay")) << failed.status();
  EXPECT_TRUE(absl::StrContains(failed.status().message(), "/does/not/exist")) << failed.status();
  prepare.mounts = {};
  prepare.rootfs = Path("no/rootfs");
  EXPECT_EQ(supervisor_->PrepareContainer(Within(10), prepare).status().code(), absl::StatusCode::kNotFound);
  prepare = Prepare("c1");
  prepare.stdio.log_path = Path("no/dir/log");
  EXPECT_EQ(supervisor_->PrepareContainer(Within(10), prepare).status().code(), absl::StatusCode::kNotFound);
  for (int i = 0; i < 300 && !ChildrenOf(supervisor_->pid()).empty(); ++i) usleep(10000);
  EXPECT_TRUE(ChildrenOf(supervisor_->pid()).empty());
}

TEST_F(MountTest, ForgottenPreparationLeavesNothing) {
  size_t mounts = CountMounts(), descriptors = Descriptors();
  {
    auto prepared = supervisor_->PrepareContainer(Within(10), Prepare("c1"));
    ASSERT_TRUE(prepared.ok());
    EXPECT_EQ(ChildrenOf(supervisor_->pid()).size(), 1u);
  }
  ASSERT_TRUE(supervisor_->Forget(Within(5), "c1", "").ok());
  for (int i = 0; i < 300 && !ChildrenOf(supervisor_->pid()).empty(); ++i) usleep(10000);
  EXPECT_TRUE(ChildrenOf(supervisor_->pid()).empty());
  EXPECT_EQ(CountMounts(), mounts);
  EXPECT_EQ(Descriptors(), descriptors);
}

TEST_F(MountTest, DeadChildOfAPreparedContainerIsNoticed) {
  ASSERT_TRUE(supervisor_->PrepareContainer(Within(10), Prepare("c1")).ok());
  std::vector<pid_t> children = ChildrenOf(supervisor_->pid());
  ASSERT_EQ(children.size(), 1u);
  kill(children[0], SIGKILL);
  for (int i = 0; i < 300 && (*supervisor_->List(Within(5)))[0].state != SupervisedState::kFailed; ++i) usleep(10000);
  EXPECT_EQ(supervisor_->Run(Within(5), CreateCommand("c1", "true")).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

// A file system that does not answer: fuse without a server, whose root can't be looked up. The supervisor stays
// responsive, and the child is killed at the deadline.
TEST_F(MountTest, HangingMountIsKilledAtTheDeadline) {
  UniqueFd fuse(open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!fuse) GTEST_SKIP() << "no /dev/fuse here";
  ASSERT_TRUE(MakeDirs(Path("dead")).ok());
  std::string options = absl::StrCat("fd=", fuse.get(), ",rootmode=40000,user_id=0,group_id=0");
  ASSERT_EQ(mount("none", Path("dead").c_str(), "fuse", 0, options.c_str()), 0);
  ContainerPrepare prepare = Prepare("c1");
  prepare.mounts = {{"", Path("dead/share"), "", {"bind"}}};
  Call call;
  call.deadline_ns = MonotonicNanos() + 300'000'000;
  auto failed = supervisor_->PrepareContainer(call, prepare);
  EXPECT_EQ(failed.status().code(), absl::StatusCode::kDeadlineExceeded) << failed.status();
  EXPECT_LT(MonotonicNanos(), call.deadline_ns + 1'000'000'000);
  EXPECT_TRUE(supervisor_->List(Within(1)).ok());
  for (int i = 0; i < 300 && !ChildrenOf(supervisor_->pid()).empty(); ++i) usleep(10000);
  EXPECT_TRUE(ChildrenOf(supervisor_->pid()).empty());
  fuse.reset();  // ends the connection
  umount2(Path("dead").c_str(), MNT_DETACH);
}

// With shared mounts, as on a real node: ours stay in, late ones come in; with bidirectional the child's peers see what
// is mounted, except at the bundle.
TEST_F(MountTest, Propagation) {
  ASSERT_TRUE(MakeDirs(Path("node/vol")).ok());
  ASSERT_TRUE(MakeDirs(Path("node/bundles")).ok());
  for (const char* name : {"node/vol", "node/bundles"}) {
    ASSERT_EQ(mount("none", Path(name).c_str(), "tmpfs", 0, nullptr), 0);
    ASSERT_EQ(mount(nullptr, Path(name).c_str(), nullptr, MS_SHARED, nullptr), 0);
  }
  ASSERT_TRUE(MakeDirs(Path("node/vol/sub")).ok());
  ASSERT_TRUE(MakeDirs(Path("node/vol/late")).ok());
  for (bool bidirectional : {false, true}) {
    ContainerPrepare prepare = Prepare("c1");
    prepare.rootfs = Path("node/bundles/rootfs");
    ASSERT_TRUE(MakeDirs(prepare.rootfs).ok());
    prepare.bidirectional = bidirectional;
    size_t mounts = CountMounts();
    auto prepared = supervisor_->PrepareContainer(Within(10), prepare);
    ASSERT_TRUE(prepared.ok()) << prepared.status();
    EXPECT_EQ(CountMounts(), mounts);
    ASSERT_EQ(mount("none", Path("node/vol/late").c_str(), "tmpfs", 0, nullptr), 0);
    SupervisedCommand command = CreateCommand("c1", "true");
    std::string vol = Path("node/vol");
    command.argv = {
        "/bin/sh", "-c",
        absl::StrCat("grep -c ' ", vol, "/late ' /proc/self/mounts; mount -t tmpfs none ", vol, "/sub; exit 1")};
    auto result = supervisor_->Run(Within(10), command);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->out, "1\n") << "late mounts come in";
    EXPECT_EQ(absl::StrContains(ReadText("/proc/self/mounts"), absl::StrCat(" ", vol, "/sub ")), bidirectional);
    umount2(Path("node/vol/sub").c_str(), MNT_DETACH);
    umount2(Path("node/vol/late").c_str(), MNT_DETACH);
    prepared->rootfs.reset();
  }
  umount2(Path("node/vol").c_str(), MNT_DETACH);
  umount2(Path("node/bundles").c_str(), MNT_DETACH);
}

}  // namespace
}  // namespace berth
