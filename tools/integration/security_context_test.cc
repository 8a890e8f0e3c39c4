// Who a container's process is and what it may do: identity, capabilities, sysctls, devices, limits, profiles.
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/base/file.h"
#include "tools/integration/daemon_test.h"

namespace berth {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }
bool CgroupV2() { return Exists("/sys/fs/cgroup/cgroup.controllers"); }

// With each executor.
class SecurityContextTest : public DaemonTest, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    DaemonTest::SetUp();
    if (!HasFatalFailure()) pod_config_ = PodConfig("one");
  }
  // In a pod made of pod_config_, the first time it is called.
  absl::StatusOr<std::string> CreateIn(const cri::ContainerConfig& config) {
    if (pod_.empty()) {
      const auto pod = RunPod(pod_config_, GetParam());
      if (!pod.ok()) return pod.status();
      pod_ = *pod;
    }
    return Create(pod_, pod_config_, config);
  }
  // What the container prints on standard output; it is removed.
  std::vector<std::string> LinesOf(const cri::ContainerConfig& config) {
    const auto container = CreateIn(config);
    EXPECT_OK(container);
    if (!container.ok()) return {};
    EXPECT_OK(StartContainer(*container));
    EXPECT_OK(WaitFor(*container, cri::CONTAINER_EXITED));
    std::vector<std::string> lines;
    for (const LogLine& line : ReadLog(pod_config_, config.metadata().name())) {
      if (line.stream == "stdout") lines.push_back(line.text);
    }
    EXPECT_OK(RemoveContainer(*container));
    EXPECT_OK(RemoveTree(pod_config_.log_directory() + "/" + config.metadata().name()));
    return lines;
  }
  static cri::LinuxContainerSecurityContext* Security(cri::ContainerConfig& config) {
    return config.mutable_linux()->mutable_security_context();
  }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  static void SetDeprecatedAppArmor(cri::ContainerConfig& config, const std::string& profile) {
    Security(config)->set_apparmor_profile(profile);
  }
#pragma GCC diagnostic pop
};

TEST_P(SecurityContextTest, AmbientCapabilitiesReachAnOrdinaryUser) {
  cri::ContainerConfig config = ShellConfig("main", "grep -E '^Cap(Eff|Amb|Inh):' /proc/self/status");
  Security(config)->mutable_run_as_user()->set_value(1000);
  Security(config)->mutable_capabilities()->add_drop_capabilities("ALL");
  EXPECT_THAT(LinesOf(config),
              ElementsAre("CapInh:\t0000000000000000", "CapEff:\t0000000000000000", "CapAmb:\t0000000000000000"));
  Security(config)->mutable_capabilities()->add_add_ambient_capabilities("CAP_NET_BIND_SERVICE");
  EXPECT_THAT(LinesOf(config),
              ElementsAre("CapInh:\t0000000000000400", "CapEff:\t0000000000000400", "CapAmb:\t0000000000000400"));
  Security(config)->mutable_capabilities()->add_add_capabilities("CAP_TO_FLY");
  EXPECT_CODE(CreateIn(config), kInvalidArgument);
  ASSERT_OK(RemovePod(pod_));
}

TEST_P(SecurityContextTest, GroupsOfTheImageAreMergedOrNot) {
  cri::ContainerConfig config = ShellConfig("main", "id -u; id -G");
  Security(config)->set_run_as_username("guest");
  Security(config)->add_supplemental_groups(4242);
  EXPECT_THAT(LinesOf(config), ElementsAre("1000", "1000 50 4242"));
  Security(config)->set_supplemental_groups_policy(cri::Strict);
  EXPECT_THAT(LinesOf(config), ElementsAre("1000", "1000 4242"));
  Security(config)->set_run_as_username("nobody-here");
  EXPECT_CODE(CreateIn(config), kInvalidArgument);
  Security(config)->clear_run_as_username();
  Security(config)->mutable_run_as_group()->set_value(7);
  EXPECT_CODE(CreateIn(config), kInvalidArgument);
  Security(config)->mutable_run_as_user()->set_value(12345);
  EXPECT_THAT(LinesOf(config), ElementsAre("12345", "7 4242"));
  ASSERT_OK(RemovePod(pod_));
}

TEST_P(SecurityContextTest, SysctlsOfThePodsNamespacesAlone) {
  auto& sysctls = *pod_config_.mutable_linux()->mutable_sysctls();
  sysctls["net.ipv4.ip_local_port_range"] = "10000 10100";
  sysctls["kernel.shm_rmid_forced"] = "1";
  const cri::ContainerConfig config =
      ShellConfig("main", "cat /proc/sys/net/ipv4/ip_local_port_range /proc/sys/kernel/shm_rmid_forced | tr '\\t' ' '");
  EXPECT_THAT(LinesOf(config), ElementsAre("10000 10100", "1"));
  ASSERT_OK(RemovePod(pod_));
  for (const char* of_the_host : {"vm.swappiness", "kernel.threads-max", "fs.file-max", "net/../vm/swappiness"}) {
    cri::PodSandboxConfig other = PodConfig("other");
    (*other.mutable_linux()->mutable_sysctls())[of_the_host] = "1";
    SCOPED_TRACE(of_the_host);
    EXPECT_CODE(RunPod(other, GetParam()), kInvalidArgument);
  }
  cri::PodSandboxConfig in_host_network = PodConfig("host");
  in_host_network.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_network(cri::NODE);
  (*in_host_network.mutable_linux()->mutable_sysctls())["net.ipv4.ip_forward"] = "1";
  EXPECT_CODE(RunPod(in_host_network, GetParam()), kInvalidArgument);
}

// A directory of two devices, of which one may be read only.
TEST_P(SecurityContextTest, DevicesAndWhatMayBeDoneWithThem) {
  const std::string directory = place_->logs() + "/devices";
  ASSERT_OK(MakeDirs(directory + "/deep"));
  // /dev/kmsg is none of the devices that every container has.
  ASSERT_EQ(mknod((directory + "/kmsg").c_str(), S_IFCHR | 0666, makedev(1, 11)), 0);
  ASSERT_EQ(mknod((directory + "/deep/full").c_str(), S_IFCHR | 0666, makedev(1, 7)), 0);
  cri::ContainerConfig config = ShellConfig(
      "main",
      "test -c /dev/mine/kmsg && echo there; (>/dev/mine/kmsg) 2>/dev/null; echo $?; echo x > /dev/mine/deep/full;"
      "mknod /tmp/kmsg c 1 11; (>/tmp/kmsg) 2>/dev/null; echo $?");
  cri::Device* device = config.add_devices();
  device->set_host_path(directory);
  device->set_container_path("/dev/mine");
  device->set_permissions("rm");
  EXPECT_THAT(LinesOf(config), ElementsAre("there", "1", "1"));
  device->set_permissions("rwm");
  EXPECT_THAT(LinesOf(config), ElementsAre("there", "0", "0"));
  config.clear_devices();
  EXPECT_THAT(LinesOf(config), ElementsAre("1", "1"));
  device = config.add_devices();
  device->set_host_path(directory + "/none");
  EXPECT_CODE(CreateIn(config), kNotFound);
  device->set_host_path(directory);
  device->set_permissions("rwx");
  EXPECT_CODE(CreateIn(config), kInvalidArgument);
  ASSERT_OK(RemovePod(pod_));
}

TEST_P(SecurityContextTest, APrivilegedContainerSeesTheNode) {
  cri::ContainerConfig config =
      ShellConfig("main",
                  "wc -c < /proc/version; test -c /dev/kmsg && echo device; grep Seccomp: /proc/self/status;"
                  "(echo 1 > /proc/sys/net/ipv4/ip_forward) && echo writable; mount | grep -c ' /sys/fs/cgroup.*(rw'");
  Security(config)->set_privileged(true);
  Security(config)->add_masked_paths("/proc/version");
  Security(config)->add_readonly_paths("/proc/sys");
  Security(config)->mutable_seccomp()->set_profile_type(cri::SecurityProfile::RuntimeDefault);
  EXPECT_CODE(CreateIn(config), kInvalidArgument);  // in a pod that is not privileged
  ASSERT_OK(RemovePod(pod_));
  pod_.clear();
  pod_config_.mutable_linux()->mutable_security_context()->set_privileged(true);
  const std::vector<std::string> lines = LinesOf(config);
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_NE(lines[0], "0");
  EXPECT_EQ(lines[1], "device");
  EXPECT_EQ(lines[2], "Seccomp:\t0");
  EXPECT_EQ(lines[3], "writable");
  EXPECT_NE(lines[4], "0");
  if (CgroupV2()) {
    cri::ContainerConfig whole = ShellConfig("main", "cat /proc/self/cgroup");
    Security(whole)->set_privileged(true);
    EXPECT_THAT(LinesOf(whole), ElementsAre(HasSubstr("/pods/")));
    Security(whole)->set_privileged(false);
    EXPECT_THAT(LinesOf(whole), ElementsAre("0::/"));
  }
  ASSERT_OK(RemovePod(pod_));
}

TEST_P(SecurityContextTest, PidNamespaceOfAnotherContainer) {
  const auto first = CreateIn(ShellConfig("first", "exec sleep 1234"));
  ASSERT_OK(first);
  ASSERT_OK(StartContainer(*first));
  cri::ContainerConfig config = ShellConfig("main", "ps | grep -c '[s]leep 1234'; ls -d /proc/1/root/etc");
  EXPECT_THAT(LinesOf(config), Contains("0"));
  cri::NamespaceOption* options = Security(config)->mutable_namespace_options();
  options->set_pid(cri::TARGET);
  options->set_target_id(*first);
  EXPECT_THAT(LinesOf(config), Contains("1"));
  options->set_target_id(std::string(64, '0'));
  EXPECT_CODE(CreateIn(config), kNotFound);
  options->set_pid(static_cast<cri::NamespaceMode>(9));
  EXPECT_CODE(CreateIn(config), kInvalidArgument);
  ASSERT_OK(RemovePod(pod_));
}

TEST_P(SecurityContextTest, SeccompProfilesOfTheNode) {
  const std::string profile = place_->logs() + "/profile.json";
  ASSERT_OK(WriteFileAtomic(
      profile,
      R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]})",
      0644, Durability::kVolatile));
  cri::ContainerConfig config = ShellConfig("main", "mkdir /tmp/a 2>/dev/null; echo $?; (>/tmp/b); echo $?");
  cri::SecurityProfile* seccomp = Security(config)->mutable_seccomp();
  seccomp->set_profile_type(cri::SecurityProfile::Localhost);
  seccomp->set_localhost_ref(profile);
  EXPECT_THAT(LinesOf(config), ElementsAre("1", "0"));
  seccomp->set_localhost_ref(profile + ".none");
  EXPECT_CODE(CreateIn(config), kNotFound);
  const std::string fifo = place_->logs() + "/fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  seccomp->set_localhost_ref(fifo);
  EXPECT_CODE(CreateIn(config), kInvalidArgument);
  ASSERT_EQ(unlink(fifo.c_str()), 0);
  seccomp->set_localhost_ref("relative.json");
  EXPECT_CODE(CreateIn(config), kInvalidArgument);
  if (!Exists("/sys/module/apparmor")) {
    Security(config)->clear_seccomp();
    Security(config)->mutable_apparmor()->set_profile_type(cri::SecurityProfile::RuntimeDefault);
    EXPECT_THAT(LinesOf(config), ElementsAre("0", "0"));
    Security(config)->mutable_apparmor()->set_profile_type(cri::SecurityProfile::Localhost);
    Security(config)->mutable_apparmor()->set_localhost_ref("localhost/some-profile");
    EXPECT_CODE(CreateIn(config), kFailedPrecondition);
  }
  ASSERT_OK(RemovePod(pod_));
}

// A container is never less confined than it asked to be by name.
TEST_P(SecurityContextTest, AppArmorProfilesOfANodeWithoutAreRefused) {
  if (Exists("/sys/module/apparmor")) GTEST_SKIP() << "this machine has AppArmor";
  cri::ContainerConfig config = ShellConfig("main", "echo made");
  const auto refused = [&] {
    const auto container = CreateIn(config);
    EXPECT_CODE(container, kFailedPrecondition);
    EXPECT_THAT(std::string(container.status().message()),
                HasSubstr("AppArmor profile some-profile: AppArmor is not enabled on this node"));
  };
  SetDeprecatedAppArmor(config, "localhost/some-profile");
  refused();
  Security(config)->mutable_apparmor()->set_profile_type(cri::SecurityProfile::Unconfined);
  EXPECT_THAT(LinesOf(config), ElementsAre("made"));  // the new field wins
  Security(config)->mutable_apparmor()->set_profile_type(cri::SecurityProfile::Localhost);
  Security(config)->mutable_apparmor()->set_localhost_ref("some-profile");
  refused();
  Security(config)->clear_apparmor();
  for (const char* accepted : {"runtime/default", "unconfined", ""}) {
    SetDeprecatedAppArmor(config, accepted);
    EXPECT_THAT(LinesOf(config), ElementsAre("made")) << accepted;
  }
  SetDeprecatedAppArmor(config, "some-profile");
  EXPECT_CODE(CreateIn(config), kInvalidArgument);
  ASSERT_OK(RemovePod(pod_));
}

TEST_P(SecurityContextTest, AppArmorProfilesOfANodeThatHasIt) {
  if (!Exists("/sys/kernel/security/apparmor/profiles") || !Exists("/usr/sbin/apparmor_parser")) {
    GTEST_SKIP() << "this machine has no AppArmor, or nothing to load profiles with";
  }
  pod_config_.mutable_linux()->mutable_security_context()->set_privileged(true);
  cri::ContainerConfig config = ShellConfig(
      "main",
      "cat /proc/self/attr/current; mount -t tmpfs none /tmp 2>/dev/null && echo mounted;"
      "(echo 1 > /proc/sys/kernel/panic) 2>/dev/null && echo written; echo 5 > /proc/self/oom_score_adj && echo own");
  Security(config)->mutable_capabilities()->add_add_capabilities("ALL");
  EXPECT_THAT(LinesOf(config), ElementsAre("berth-default (enforce)", "own"));
  Security(config)->mutable_apparmor()->set_profile_type(cri::SecurityProfile::Unconfined);
  EXPECT_THAT(LinesOf(config), ElementsAre("unconfined", "mounted", "written", "own"));
  Security(config)->mutable_apparmor()->set_profile_type(cri::SecurityProfile::Localhost);
  Security(config)->mutable_apparmor()->set_localhost_ref("localhost/berth-default");
  Security(config)->set_privileged(true);
  EXPECT_THAT(LinesOf(config), Contains("berth-default (enforce)"));
  Security(config)->mutable_apparmor()->set_localhost_ref("localhost/some-profile");
  const auto refused = CreateIn(config);
  EXPECT_CODE(refused, kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("AppArmor profile some-profile: it is not loaded"));
  Security(config)->clear_apparmor();
  EXPECT_THAT(LinesOf(config), Contains("unconfined"));

  // What is run in the container later is as confined, and can be ended.
  cri::ContainerConfig waiting = ShellConfig("waiting", "exec sleep 1000");
  const auto container = CreateIn(waiting);
  ASSERT_OK(container);
  ASSERT_OK(StartContainer(*container));
  const auto ran = Exec(*container, {"cat", "/proc/self/attr/current", "/proc/1/attr/current"});
  ASSERT_OK(ran);
  EXPECT_EQ(ran->stdout(), "berth-default (enforce)\nberth-default (enforce)\n");
  EXPECT_OK(StopContainer(*container, 0));
  ASSERT_OK(RemovePod(pod_));
}

TEST_P(SecurityContextTest, SelinuxOptionsOfANodeWithoutMeanNothing) {
  if (Exists("/sys/fs/selinux/enforce")) GTEST_SKIP() << "this machine has SELinux";
  const std::string volume = place_->logs() + "/volume";
  ASSERT_OK(MakeDirs(volume));
  cri::ContainerConfig config = ShellConfig("main", "echo made");
  Security(config)->mutable_selinux_options()->set_type("own_t");
  Security(config)->mutable_selinux_options()->set_level("s0:c1,c2");
  cri::Mount* mount = config.add_mounts();
  mount->set_host_path(volume);
  mount->set_container_path("/data");
  mount->set_selinux_relabel(true);
  EXPECT_THAT(LinesOf(config), ElementsAre("made"));
  EXPECT_EQ(lgetxattr(volume.c_str(), "security.selinux", nullptr, 0), -1);
  Security(config)->mutable_selinux_options()->set_level("s0:c1;c2");
  EXPECT_CODE(CreateIn(config), kInvalidArgument);
  ASSERT_OK(RemovePod(pod_));
}

TEST_P(SecurityContextTest, OomScoreIsClampedAndToldOnce) {
  cri::ContainerConfig config = ShellConfig("main", "cat /proc/self/oom_score_adj");
  config.mutable_linux()->mutable_resources()->set_oom_score_adj(999);
  EXPECT_THAT(LinesOf(config), ElementsAre("999"));
  config.mutable_linux()->mutable_resources()->set_oom_score_adj(-998);
  const bool clamped = LinesOf(config) != std::vector<std::string>{"-998"};
  EXPECT_EQ(LinesOf(config).size(), 1u);
  const std::string log = DaemonLog(), words = "has no CAP_SYS_RESOURCE";
  const size_t told = log.find(words);
  EXPECT_EQ(told != std::string::npos, clamped);
  if (clamped) {
    EXPECT_EQ(log.find(words, told + 1), std::string::npos);
  }
  ASSERT_OK(RemovePod(pod_));
}

TEST_P(SecurityContextTest, UnifiedAndHugePageLimits) {
  cri::ContainerConfig config = ShellConfig("main", "cat /sys/fs/cgroup/memory.high /sys/fs/cgroup/hugetlb.2MB.max");
  auto* resources = config.mutable_linux()->mutable_resources();
  (*resources->mutable_unified())["memory.high"] = "50331648";
  if (!CgroupV2()) {
    EXPECT_CODE(CreateIn(config), kInvalidArgument);
    resources->clear_unified();
    config.set_command(2, "cat /sys/fs/cgroup/hugetlb/hugetlb.2MB.limit_in_bytes");
  }
  cri::HugepageLimit* limit = resources->add_hugepage_limits();
  limit->set_page_size("2MB");
  limit->set_limit(4 << 20);
  const std::vector<std::string> lines = LinesOf(config);
  if (CgroupV2()) {
    EXPECT_THAT(lines, Contains("50331648"));
  }
  const std::string controllers = ReadFile("/sys/fs/cgroup/cgroup.controllers").value_or("");
  const bool hugetlb = CgroupV2() ? controllers.find("hugetlb") != std::string::npos
                                  : Exists("/sys/fs/cgroup/hugetlb/hugetlb.2MB.limit_in_bytes");
  EXPECT_THAT(lines, hugetlb ? testing::Matcher<const std::vector<std::string>&>(Contains("4194304"))
                             : testing::Matcher<const std::vector<std::string>&>(Not(Contains("4194304"))));
  limit->set_page_size("2MB/../../x");
  EXPECT_CODE(CreateIn(config), kInvalidArgument);
  ASSERT_OK(RemovePod(pod_));
}

INSTANTIATE_TEST_SUITE_P(Executors, SecurityContextTest, testing::Values("crun", "runc"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace berth
