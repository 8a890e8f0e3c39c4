// What a process in a container sees and what its log looks like.
#include "absl/strings/str_split.h"
#include "core/base/file.h"
#include "tools/integration/daemon_test.h"
#include "tools/integration/isolation.h"

namespace berth {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class ContainerTest : public DaemonTest {};

TEST_F(ContainerTest, LongAndUnfinishedLinesAreMarkedPartial) {
  const std::string output = OutputOf("head -c 40000 /dev/zero | tr '\\0' x; echo; echo -n tail");
  const std::vector<std::string> lines = absl::StrSplit(output, '\n');
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], std::string(40000, 'x'));
  EXPECT_EQ(lines[1], "tail");
  const std::vector<LogLine> log = ReadLog(pod_config_, "main");
  ASSERT_GE(log.size(), 4u);
  EXPECT_EQ(log.front().tag, "P");
  EXPECT_EQ(log.back().tag, "P") << "a last line without an end";
}

TEST_F(ContainerTest, SeesItsOwnNamespacesAndFiles) {
  const std::string seen = OutputOf(
      "echo pid $$; hostname; id -u; ls /proc | grep -c '^[0-9]'; cat /etc/hostname; grep -c . /etc/resolv.conf;"
      "stat -c %a /tmp; mount | grep -c ' /sys type sysfs (ro'; df -m /dev/shm | tail -1 | awk '{print $2}'");
  const std::vector<std::string> lines = absl::StrSplit(seen, '\n');
  ASSERT_GE(lines.size(), 9u) << seen;
  EXPECT_EQ(lines[0], "pid 1");
  EXPECT_EQ(lines[1], "one");
  EXPECT_EQ(lines[2], "0");
  EXPECT_LE(std::stoi(lines[3]), 4) << "processes of others";
  EXPECT_EQ(lines[4], "one");
  EXPECT_EQ(lines[6], "1777");
  EXPECT_EQ(lines[7], "1");
  EXPECT_EQ(lines[8], "64");
}

TEST_F(ContainerTest, IsConfinedAsTheKubeletAsks) {
  pod_config_ = PodConfig("one");
  const auto pod = RunPod(pod_config_);
  ASSERT_OK(pod);
  cri::ContainerConfig config = ShellConfig(
      "main",
      "grep -E '^(CapEff|Seccomp|NoNewPrivs):' /proc/self/status; mount -t tmpfs t /tmp 2>&1; wc -c < /proc/version;"
      "(echo 0 > /proc/sys/net/ipv4/ip_forward) 2>/dev/null; echo rc=$?; ls /dev | tr '\\n' ' '");
  auto* security = config.mutable_linux()->mutable_security_context();
  security->mutable_seccomp()->set_profile_type(cri::SecurityProfile::RuntimeDefault);
  security->set_no_new_privs(true);
  security->add_masked_paths("/proc/version");
  security->add_readonly_paths("/proc/sys");
  const auto container = Create(*pod, pod_config_, config);
  ASSERT_OK(container);
  ASSERT_OK(StartContainer(*container));
  ASSERT_OK(WaitFor(*container, cri::CONTAINER_EXITED));
  std::string seen;
  for (const LogLine& line : ReadLog(pod_config_, "main")) seen += line.text + "\n";
  EXPECT_THAT(seen, HasSubstr("CapEff:\t00000000a80425fb"));
  EXPECT_THAT(seen, HasSubstr("Seccomp:\t2"));
  EXPECT_THAT(seen, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(seen, HasSubstr("ermission denied")) << "mounted a file system";
  EXPECT_THAT(seen, HasSubstr("\n0\nrc=1\n")) << "/proc/version is not masked, or /proc/sys is writable";
  EXPECT_THAT(seen, HasSubstr("null"));
  EXPECT_THAT(seen, Not(HasSubstr("mem ")));
  ASSERT_OK(RemovePod(*pod));
}

TEST_F(ContainerTest, RunsAsTheUserAskedFor) {
  pod_config_ = PodConfig("one");
  const auto pod = RunPod(pod_config_);
  ASSERT_OK(pod);
  cri::ContainerConfig config = ShellConfig("main", "id -u; id -g; id -G");
  config.mutable_linux()->mutable_security_context()->set_run_as_username("guest");
  const auto container = Create(*pod, pod_config_, config);
  ASSERT_OK(container);
  ASSERT_OK(StartContainer(*container));
  ASSERT_OK(WaitFor(*container, cri::CONTAINER_EXITED));
  std::vector<std::string> lines;
  for (const LogLine& line : ReadLog(pod_config_, "main")) lines.push_back(line.text);
  EXPECT_THAT(lines, ElementsAre("1000", "1000", "1000 50"));
  const auto status = Status(*container);
  EXPECT_EQ(status->user().linux().uid(), 1000);
  ASSERT_OK(RemovePod(*pod));
}

TEST_F(ContainerTest, MountsWhatItIsGiven) {
  const std::string source = place_->logs() + "/volume";
  ASSERT_OK(MakeDirs(source));
  ASSERT_OK(WriteFileAtomic(source + "/given", "content\n", 0644, Durability::kVolatile));
  pod_config_ = PodConfig("one");
  const auto pod = RunPod(pod_config_);
  ASSERT_OK(pod);
  cri::ContainerConfig config = ShellConfig(
      "main", "cat /rw/given; echo back > /rw/back; cat /ro/given; echo no > /ro/no; echo rc=$?; cat /deep/er/given");
  for (const char* target : {"/rw", "/ro", "/deep/er"}) {
    auto* mount = config.add_mounts();
    mount->set_container_path(target);
    mount->set_host_path(source);
    mount->set_readonly(std::string(target) == "/ro");
  }
  const auto container = Create(*pod, pod_config_, config);
  ASSERT_OK(container);
  ASSERT_OK(StartContainer(*container));
  ASSERT_OK(WaitFor(*container, cri::CONTAINER_EXITED));
  std::vector<std::string> lines;
  for (const LogLine& line : ReadLog(pod_config_, "main")) {
    if (line.stream == "stdout") lines.push_back(line.text);
  }
  EXPECT_THAT(lines, ElementsAre("content", "content", "rc=1", "content"));
  EXPECT_EQ(ReadFile(source + "/back").value_or(""), "back\n");
  ASSERT_OK(RemovePod(*pod));
}

TEST_F(ContainerTest, SharedPidNamespaceShowsNothingOfTheHost) {
  for (const bool traced : {false, true}) {
    pod_config_ = PodConfig(traced ? "traced" : "plain");
    auto* options = pod_config_.mutable_linux()->mutable_security_context()->mutable_namespace_options();
    options->set_pid(cri::POD);
    const auto pod = RunPod(pod_config_);
    ASSERT_OK(pod);
    cri::ContainerConfig config =
        ShellConfig("main", "ls -A /proc/1/root/ | wc -l; cat /proc/1/environ | wc -c; ls /proc/1/fd | wc -l; echo $$");
    config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(cri::POD);
    if (traced) {
      config.mutable_linux()->mutable_security_context()->mutable_capabilities()->add_add_capabilities("SYS_PTRACE");
    }
    const auto container = Create(*pod, pod_config_, config);
    ASSERT_OK(container);
    ASSERT_OK(StartContainer(*container));
    ASSERT_OK(WaitFor(*container, cri::CONTAINER_EXITED));
    std::vector<std::string> lines;
    for (const LogLine& line : ReadLog(pod_config_, "main")) {
      if (line.stream == "stdout") lines.push_back(line.text);
    }
    ASSERT_EQ(lines.size(), 4u);
    EXPECT_EQ(lines[0], "0") << "names in the root of the pod's init";
    EXPECT_EQ(lines[1], "0") << "bytes of its environment";
    EXPECT_EQ(lines[2], "0") << "open files";
    EXPECT_NE(lines[3], "1") << "the container is not the init of a shared namespace";
    ASSERT_OK(RemovePod(*pod));
  }
}

TEST_F(ContainerTest, PodsReachEachOther) {
  RunOne("echo served > /tmp/index.html; httpd -f -p 8080 -h /tmp");
  const auto address = PodStatus(pod_);
  ASSERT_OK(address);
  const cri::PodSandboxConfig other_config = PodConfig("other");
  const auto other = RunPod(other_config);
  ASSERT_OK(other);
  const auto container =
      Create(*other, other_config,
             ShellConfig("main", "for i in 1 2 3 4 5; do wget -qO- http://" + address->network().ip() +
                                     ":8080/index.html && exit 0; sleep 1; done; exit 1"));
  ASSERT_OK(container);
  ASSERT_OK(StartContainer(*container));
  const auto status = WaitFor(*container, cri::CONTAINER_EXITED);
  ASSERT_OK(status);
  EXPECT_EQ(status->exit_code(), 0);
  ASSERT_OK(RemovePod(*other));
  ASSERT_OK(RemovePod(pod_));
}

}  // namespace
}  // namespace berth
