// The pod itself: namespaces, pins, the shared pid namespace's init, and that nothing of it stays.
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <mutex>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/subprocess.h"
#include "core/supervisor/embedded.h"
#include "core/supervisor/supervisor_fixture.h"

namespace berth {
namespace {

std::string Link(const std::string& path) {
  char target[PATH_MAX];
  ssize_t n = readlink(path.c_str(), target, sizeof(target));
  return n < 0 ? "" : std::string(target, static_cast<size_t>(n));
}

ino_t Inode(const std::string& path) {
  struct stat st;
  return stat(path.c_str(), &st) == 0 ? st.st_ino : 0;
}

std::string Output(const std::vector<std::string>& argv) {
  Command command;
  command.argv = argv;
  command.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  command.deadline_ns = Within(10).deadline_ns;
  auto result = RunCommand(command);
  return result.ok() ? result->out + result->err : std::string(result.status().message());
}

class PodTest : public SupervisorTest {};

TEST_F(PodTest, HoldsItsNamespaces) {
  PodSpec spec = Spec();
  spec.netns_pin = "/run/netns/berth-pod1";
  spec.shm_path = Path("shm");
  spec.shm_size = 1 << 20;
  spec.sysctls = {{"net.ipv4.ip_unprivileged_port_start", "1"}, {"kernel.shm_rmid_forced", "1"}};
  Launch(spec);
  ASSERT_NE(supervisor_, nullptr);
  EXPECT_EQ(supervisor_->pod_id(), "pod1");
  EXPECT_EQ(supervisor_->build_id(), std::string(SupervisorBuildId()));
  EXPECT_EQ(supervisor_->init_pid(), 0);
  for (const std::string& path : {supervisor_->net_ns_path(), supervisor_->ipc_ns_path(), supervisor_->uts_ns_path()}) {
    EXPECT_NE(Link(path), Link(absl::StrCat("/proc/self/ns/", path.substr(path.rfind('/') + 1)))) << path;
  }
  EXPECT_EQ(Inode(spec.netns_pin), Inode(supervisor_->net_ns_path()));
  std::string enter = absl::StrCat("--target=", supervisor_->pid());
  EXPECT_EQ(Output({"/usr/bin/nsenter", enter, "--uts", "hostname"}), "harbour\n");
  EXPECT_EQ(Output({"/usr/bin/nsenter", enter, "--net", "--ipc", "sysctl", "-n", "net.ipv4.ip_unprivileged_port_start",
                    "kernel.shm_rmid_forced"}),
            "1\n1\n");
  EXPECT_TRUE(
      absl::StrContains(Output({"/usr/bin/nsenter", enter, "--net", "ip", "link", "show", "lo"}), "LOOPBACK,UP"));
  struct stat st;
  ASSERT_EQ(stat(spec.shm_path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 01777u);
  std::string mounts = ReadText("/proc/self/mounts");
  EXPECT_TRUE(absl::StrContains(mounts, absl::StrCat(spec.shm_path, " tmpfs rw,nosuid,nodev,noexec")));
  EXPECT_EQ(ReadText(absl::StrCat("/proc/", supervisor_->pid(), "/comm")), "berth-superviso\n");
}

TEST_F(PodTest, EndsWithoutATrace) {
  size_t mounts = CountMounts();
  PodSpec spec = Spec();
  spec.shm_path = Path("shm");
  spec.shared_pid = true;
  Launch(spec);
  ASSERT_NE(supervisor_, nullptr);
  pid_t pid = supervisor_->pid(), init = supervisor_->init_pid();
  EXPECT_TRUE(Alive(init));
  ASSERT_TRUE(supervisor_->Shutdown(Within(5)).ok());
  for (int i = 0; i < 300 && Alive(pid); ++i) usleep(10000);
  EXPECT_FALSE(Alive(pid));
  EXPECT_FALSE(Alive(init));
  EXPECT_TRUE(supervisor_->Shutdown(Within(5)).ok()) << "idempotent";
  EXPECT_TRUE(ReleasePins(spec).ok());
  EXPECT_TRUE(ReleasePins(spec).ok()) << "idempotent";
  EXPECT_EQ(CountMounts(), mounts);
  EXPECT_FALSE(events_.exits_told());
}

TEST_F(PodTest, UndoesAFailedLaunch) {
  size_t mounts = CountMounts();
  PodSpec spec = Spec();
  spec.shm_path = Path("shm");
  spec.sysctls = {{"net.ipv4.no_such_thing", "1"}};
  auto failed = Supervisor::Launch(loop_.get(), starter_.get(), spec, &events_, Within(10));
  ASSERT_FALSE(failed.ok());
  EXPECT_TRUE(absl::StrContains(failed.status().message(), "/proc/sys/net/ipv4/no_such_thing")) << failed.status();
  EXPECT_EQ(failed.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(CountMounts(), mounts);
  EXPECT_NE(access(spec.directory.c_str(), F_OK), 0);

  spec.sysctls = {{"kernel.panic", "1"}};
  failed = Supervisor::Launch(loop_.get(), starter_.get(), spec, &events_, Within(10));
  EXPECT_EQ(failed.status().code(), absl::StatusCode::kInvalidArgument) << failed.status();
  spec.sysctls = {{"net.ipv4/../../kernel/panic", "1"}};
  failed = Supervisor::Launch(loop_.get(), starter_.get(), spec, &events_, Within(10));
  EXPECT_EQ(failed.status().code(), absl::StatusCode::kInvalidArgument) << failed.status();
}

TEST_F(PodTest, OneSupervisorForADirectory) {
  Launch(Spec());
  auto second = Supervisor::Launch(loop_.get(), starter_.get(), Spec(), &events_, Within(10));
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists) << second.status();
  EXPECT_TRUE(supervisor_->List(Within(5)).ok());
}

TEST_F(PodTest, ConnectFindsNobody) {
  EXPECT_EQ(Supervisor::Connect(loop_.get(), Path("none"), &events_, Within(5)).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(PodTest, ASearchIsOverOnceItIsAnswered) {
  Launch(Spec());
  std::mutex mutex;
  absl::StatusOr<FoundSupervisor> found = absl::UnknownError("none");
  std::atomic<bool> answered{false};
  mutex.lock();  // holds the answer up
  auto search = Supervisor::Search(loop_.get(), spec_.directory, nullptr, [&](absl::StatusOr<FoundSupervisor> f) {
    std::lock_guard lock(mutex);
    found = std::move(f);
    answered = true;
  });
  ASSERT_TRUE(search.ok()) << search.status();
  for (int i = 0; i < 500 && !(*search)->over(); ++i) usleep(10000);
  EXPECT_TRUE((*search)->over()) << "from before it is told";
  EXPECT_FALSE(answered);
  mutex.unlock();
  for (int i = 0; i < 500 && !answered; ++i) usleep(10000);
  ASSERT_TRUE(answered);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->supervisor->pid(), supervisor_->pid());
}

TEST_F(PodTest, TellsOfItsDeath) {
  Launch(Spec());
  kill(supervisor_->pid(), SIGKILL);
  EXPECT_TRUE(events_.WaitForGone());
  EXPECT_TRUE(absl::IsUnavailable(supervisor_->List(Within(5)).status()));
  EXPECT_EQ(Supervisor::Connect(loop_.get(), spec_.directory, &events_, Within(5)).status().code(),
            absl::StatusCode::kNotFound);
  supervisor_.reset();
  Launch(spec_);  // in what the dead one left
}

TEST_F(PodTest, InitDiesWithItsSupervisor) {
  PodSpec spec = Spec();
  spec.shared_pid = true;
  Launch(spec);
  pid_t init = supervisor_->init_pid();
  kill(supervisor_->pid(), SIGKILL);
  ASSERT_TRUE(events_.WaitForGone());
  for (int i = 0; i < 300 && Alive(init); ++i) usleep(10000);
  EXPECT_FALSE(Alive(init));
  supervisor_.reset();
}

TEST_F(PodTest, InheritsNothing) {
  UniqueFd leak(open("/etc/passwd", O_RDONLY));  // without O_CLOEXEC, on purpose
  Launch(Spec());
  auto names = ListDir(absl::StrCat("/proc/", supervisor_->pid(), "/fd"));
  ASSERT_TRUE(names.ok());
  for (const std::string& name : *names) {
    std::string target = Link(absl::StrCat("/proc/", supervisor_->pid(), "/fd/", name));
    EXPECT_FALSE(absl::StartsWith(target, "/etc") || absl::StartsWith(target, "pipe:")) << target;
  }
}

TEST_F(PodTest, SurvivesSignalsAndIsSmall) {
  Launch(Spec());
  pid_t pid = supervisor_->pid();
  for (int signal : {SIGHUP, SIGINT, SIGPIPE, SIGUSR1, SIGQUIT}) kill(pid, signal);
  EXPECT_TRUE(supervisor_->List(Within(5)).ok());
  ASSERT_GT(Create("c", "exec sleep 100"), 0);
  Start("c");
  kill(pid, SIGTERM);
  EXPECT_TRUE(supervisor_->List(Within(5)).ok()) << "something runs: it stays";
  // What is its own alone: the program's pages are the page cache's, and count as dirty where the file is in a tmpfs.
  const std::string rollup = ReadText(absl::StrCat("/proc/", pid, "/smaps_rollup"));
  const std::string key = "\nAnonymous:";
  const size_t at = rollup.find(key);
  ASSERT_NE(at, std::string::npos) << rollup;
  const long kilobytes = atol(rollup.c_str() + at + key.size());
  EXPECT_GT(kilobytes, 0);
  EXPECT_LE(kilobytes, 250);
  ASSERT_TRUE(supervisor_->Signal(Within(5), "c", "", SIGKILL).ok());
  EXPECT_TRUE(events_.WaitForExit("c").has_value());
  for (int i = 0; i < 300 && Alive(pid); ++i) usleep(10000);
  EXPECT_FALSE(Alive(pid)) << "nothing runs any more: SIGTERM counts";
  supervisor_.reset();
}

TEST_F(PodTest, SharedInitShowsNothingOfTheHost) {
  PodSpec spec = Spec();
  spec.shared_pid = true;
  Launch(spec);
  std::string proc = absl::StrCat("/proc/", supervisor_->init_pid());
  std::string status = ReadText(proc + "/status");
  for (const char* line : {"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000",
                           "CapBnd:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2",
                           "Name:\tberth-init", "Uid:\t65535\t65535\t65535\t65535"}) {
    EXPECT_TRUE(absl::StrContains(status, line)) << line << "\n" << status;
  }
  // Even for the host's root, who may look at everything.
  EXPECT_TRUE(ListDir(proc + "/root")->empty());
  EXPECT_TRUE(ListDir(proc + "/fd")->empty());
  EXPECT_EQ(ReadText(proc + "/environ"), "");
  EXPECT_EQ(Link(proc + "/exe"), "/memfd:berth-init (deleted)");
  EXPECT_NE(Link(proc + "/ns/mnt"), Link("/proc/self/ns/mnt"));
  EXPECT_NE(Link(proc + "/ns/cgroup"), Link("/proc/self/ns/cgroup"));
  EXPECT_NE(Link(proc + "/ns/net"), Link("/proc/self/ns/net"));
  EXPECT_EQ(open((proc + "/root/x").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600), -1);
  EXPECT_EQ(open((proc + "/exe").c_str(), O_WRONLY | O_CLOEXEC), -1);
  std::string mountinfo = ReadText(proc + "/mountinfo");
  EXPECT_EQ(std::count(mountinfo.begin(), mountinfo.end(), '\n'), 1) << mountinfo;
}

TEST_F(PodTest, UserNamespaceOwnsThePod) {
  PodSpec spec = Spec();
  spec.user_ns_path = Path("ns/user");
  spec.uid_map = spec.gid_map = {{0, 200000, 65536}};
  spec.shm_path = Path("shm");
  spec.netns_pin = "/run/netns/berth-pod1";
  spec.shared_pid = true;
  spec.sysctls = {{"net.ipv4.ip_unprivileged_port_start", "7"}};
  Launch(spec);
  ASSERT_NE(supervisor_, nullptr);
  std::string enter = absl::StrCat("--target=", supervisor_->pid());
  EXPECT_EQ(Output({"/usr/bin/nsenter", enter, "--uts", "hostname"}), "harbour\n");
  EXPECT_EQ(Output({"/usr/bin/nsenter", enter, "--net", "sysctl", "-n", "net.ipv4.ip_unprivileged_port_start"}), "7\n");
  EXPECT_EQ(Link(absl::StrCat("/proc/", supervisor_->pid(), "/ns/user")), Link("/proc/self/ns/user"))
      << "but not itself";
  for (const std::string& path : {spec.netns_pin, supervisor_->uts_ns_path(), supervisor_->pid_ns_path()}) {
    auto fd = OpenFile(path, O_RDONLY);
    ASSERT_TRUE(fd.ok()) << fd.status();
    UniqueFd owner(ioctl(fd->get(), NS_GET_USERNS));
    struct stat a, b;
    ASSERT_EQ(fstat(owner.get(), &a), 0) << path;
    ASSERT_EQ(stat(spec.user_ns_path.c_str(), &b), 0);
    EXPECT_EQ(a.st_ino, b.st_ino) << path;
  }
  EXPECT_TRUE(
      absl::StrContains(ReadText(absl::StrCat("/proc/", supervisor_->init_pid(), "/status")), "Uid:\t265535\t265535"));
  EXPECT_TRUE(ListDir(absl::StrCat("/proc/", supervisor_->init_pid(), "/root"))->empty());
  EXPECT_EQ(Output({"/usr/bin/nsenter", absl::StrCat("--user=", spec.user_ns_path), "cat", "/proc/self/uid_map"}),
            "         0     200000      65536\n");
  struct stat shm;
  ASSERT_EQ(stat(spec.shm_path.c_str(), &shm), 0);
  EXPECT_EQ(shm.st_uid, 200000u);
  ASSERT_TRUE(supervisor_->Shutdown(Within(5)).ok());
  ASSERT_TRUE(ReleasePins(spec).ok());
  EXPECT_TRUE(ReleasePins(spec).ok()) << "again";
  EXPECT_NE(access(Path("ns").c_str(), F_OK), 0);
}

TEST_F(PodTest, AUserNamespaceHasMapsAndAPlace) {
  PodSpec spec = Spec();
  const auto launch_error = [&](const PodSpec& with) {
    return Supervisor::Launch(loop_.get(), starter_.get(), with, &events_, Within(10)).status();
  };
  spec.user_ns_path = Path("ns/user");
  EXPECT_EQ(launch_error(spec).code(), absl::StatusCode::kInvalidArgument);
  spec.uid_map = spec.gid_map = {{0, 200000, 65536}, {5, 300000, 10}};  // overlapping
  EXPECT_EQ(launch_error(spec).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(access(Path("ns").c_str(), F_OK), 0) << "left behind";
  spec.user_ns_path.clear();
  EXPECT_EQ(launch_error(spec).code(), absl::StatusCode::kInvalidArgument);
}

// What processes of the pod see through /proc/1, with the capabilities of an ordinary container and with
// CAP_SYS_PTRACE besides. The process itself lives in the pid namespace with a fresh /proc.
TEST_F(PodTest, SharedInitSeenFromAContainer) {
  PodSpec spec = Spec();
  spec.shared_pid = true;
  Launch(spec);
  const std::string script =
      "mount -t proc proc /proc && cd / && exec setpriv --bounding-set -all,$CAPS --inh-caps -all,$CAPS -- sh -c '"
      "cat /proc/1/comm; for f in root/etc/passwd root/. cwd/. exe environ maps mem fd/. ns/net ns/mnt; do "
      "case $f in */.) n=$(ls -A /proc/1/$f 2>/dev/null | wc -l);; ns/*) n=$(readlink /proc/1/$f 2>/dev/null | wc "
      "-l);; "
      "exe) n=$(grep -c root: /proc/1/exe 2>/dev/null);; "
      "*) n=$(head -c 64 /proc/1/$f 2>/dev/null | wc -c);; esac; echo $f ${n:-0}; done; "
      "kill -KILL 1; kill -TERM 1; (: > /proc/1/exe); sleep 0.05; test -d /proc/1 && echo alive'";
  for (const std::string caps : {"+chown,+kill,+dac_override", "+chown,+kill,+dac_override,+sys_ptrace"}) {
    bool ptrace = absl::StrContains(caps, "ptrace");
    std::string out = Output({"/usr/bin/nsenter", absl::StrCat("--pid=", supervisor_->pid_ns_path()),
                              "/usr/bin/unshare", "-m", "/bin/sh", "-c", absl::StrCat("CAPS=", caps, "; ", script)});
    EXPECT_TRUE(absl::StrContains(out, "berth-init\n")) << out;
    EXPECT_TRUE(absl::StrContains(out, "alive\n")) << out;
    for (const char* file : {"root/etc/passwd", "root/.", "cwd/.", "exe", "environ", "fd/."}) {
      EXPECT_TRUE(absl::StrContains(out, absl::StrCat(file, " 0\n"))) << caps << "\n" << out;
    }
    if (!ptrace) {
      for (const char* file : {"maps", "mem", "ns/net", "ns/mnt"}) {
        EXPECT_TRUE(absl::StrContains(out, absl::StrCat(file, " 0\n"))) << caps << "\n" << out;
      }
    }
  }
}

}  // namespace
}  // namespace berth
