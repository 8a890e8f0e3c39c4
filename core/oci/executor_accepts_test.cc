// The runtime spec as crun and runc understand it: containers are really run from it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/subprocess.h"
#include "core/oci/json.h"
#include "core/oci/runtime_spec.h"

namespace berth::oci {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kSecond = 1000000000;

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

class ExecutorAccepts : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    executor_ = std::string("/usr/bin/") + GetParam();
    if (!Exists(executor_)) executor_ = std::string("/usr/sbin/") + GetParam();
    if (!Exists(executor_)) GTEST_SKIP() << GetParam() << " is not installed";
    if (!Exists("/bin/busybox")) GTEST_SKIP() << "busybox is not installed";
    char path[] = "/tmp/berth-oci-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    bundle_ = path;
    for (const char* name : {"bin", "proc", "sys", "dev", "etc", "tmp"}) {
      ASSERT_TRUE(MakeDirs(bundle_ + "/rootfs/" + name).ok());
    }
    const auto busybox = ReadFile("/bin/busybox");
    ASSERT_TRUE(busybox.ok()) << busybox.status();
    ASSERT_TRUE(WriteFileAtomic(bundle_ + "/rootfs/bin/busybox", *busybox, 0755, Durability::kVolatile).ok());
    ASSERT_TRUE(WriteFileAtomic(bundle_ + "/resolv.conf", "nameserver 192.0.2.1\n", 0644, Durability::kVolatile).ok());
    auto* metadata = config_.mutable_metadata();
    metadata->set_name("test");
    Security()->mutable_seccomp()->set_profile_type(runtime::v1::SecurityProfile::RuntimeDefault);
    Resources()->set_cpu_shares(100);
    Resources()->set_memory_limit_in_bytes(64 << 20);
    Resources()->set_oom_score_adj(-500);
  }
  void TearDown() override {
    if (bundle_.empty()) return;
    EXPECT_TRUE(RemoveTree(bundle_).ok());
  }

  runtime::v1::LinuxContainerSecurityContext* Security() { return config_.mutable_linux()->mutable_security_context(); }
  runtime::v1::LinuxContainerResources* Resources() { return config_.mutable_linux()->mutable_resources(); }

  // Runs `script` with the container's shell and returns what it printed; its exit code must be `exit_code`.
  std::string Run(const std::string& script, int exit_code = 0) {
    config_.clear_command();
    for (const std::string& word : {std::string("/bin/busybox"), std::string("sh"), std::string("-c"), script}) {
      config_.add_command(word);
    }
    const int version = Exists("/sys/fs/cgroup/cgroup.controllers") ? 2 : 1;
    auto host = ReadHostInputs(config_, ReadCgroupFacts(version));
    EXPECT_TRUE(host.ok()) << host.status();
    const std::string name = "berth-oci-test-" + std::to_string(getpid());
    SpecInput input{.config = config_, .pod = pod_};
    input.host = host.value_or(HostInputs{});
    input.rootfs = bundle_ + "/rootfs";
    input.cgroups_path = "/" + name;
    input.user = user_;
    input.resolv_conf_file = bundle_ + "/resolv.conf";
    input.hostname = "box";
    const auto spec = BuildSpec(input);
    EXPECT_TRUE(spec.ok()) << spec.status();
    if (!spec.ok()) return "";
    EXPECT_TRUE(
        WriteFileAtomic(bundle_ + "/config.json", DumpJson(*spec, "spec").value(), 0600, Durability::kVolatile).ok());
    Command command;
    // crun refuses a version 1 with a unified hierarchy beside it.
    command.argv = {"/usr/bin/unshare",
                    "-mn",
                    "/bin/sh",
                    "-c",
                    "umount /sys/fs/cgroup/unified 2>/dev/null; exec \"$@\"",
                    "-",
                    executor_,
                    "--root",
                    bundle_ + "/state",
                    "run",
                    "--bundle",
                    bundle_,
                    name};
    command.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    command.deadline_ns = MonotonicNanos() + 60 * kSecond;
    const auto result = RunCommand(command);
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok()) return "";
    EXPECT_TRUE(WIFEXITED(result->wait_status) && WEXITSTATUS(result->wait_status) == exit_code)
        << "wait status " << result->wait_status << ": " << result->err << result->out;
    return result->out + result->err;
  }

  std::string executor_, bundle_;
  ResolvedUser user_{.additional_gids = {0}};
  runtime::v1::ContainerConfig config_;
  runtime::v1::PodSandboxConfig pod_;
};

TEST_P(ExecutorAccepts, AnOrdinaryContainer) {
  runtime::v1::KeyValue* variable = config_.add_envs();
  variable->set_key("GREETING");
  variable->set_value("hello");
  Security()->add_masked_paths("/proc/kcore");
  Security()->add_readonly_paths("/proc/sys");
  const std::string out =
      Run("echo $GREETING $HOSTNAME; cat /etc/resolv.conf; id -u; cd /proc/self; grep Seccomp: status");
  EXPECT_THAT(out, HasSubstr("hello box"));
  EXPECT_THAT(out, HasSubstr("192.0.2.1"));
  EXPECT_THAT(out, HasSubstr("Seccomp:\t2"));
}

TEST_P(ExecutorAccepts, ExitCodesPass) { Run("exit 7", 7); }

TEST_P(ExecutorAccepts, TheDefaultProfileDenies) {
  Security()->mutable_capabilities()->add_add_capabilities("SYS_TIME");  // a reason that is not the capability
  EXPECT_THAT(Run("mount -t tmpfs none /tmp || echo denied"), HasSubstr("denied"));
  EXPECT_THAT(Run("unshare -U true || echo denied"), HasSubstr("denied"));
}

TEST_P(ExecutorAccepts, AnUnprivilegedUser) {
  user_ = {.uid = 1000, .gid = 1000, .additional_gids = {1000, 44}};
  Security()->set_no_new_privs(true);
  Security()->mutable_capabilities()->add_drop_capabilities("ALL");
  Security()->set_readonly_rootfs(true);
  const std::string out = Run("id; grep -E 'NoNewPrivs|CapBnd' /proc/self/status; echo x > /tmp/x || echo readonly");
  EXPECT_THAT(out, HasSubstr("uid=1000 gid=1000"));
  EXPECT_THAT(out, HasSubstr("44"));
  EXPECT_THAT(out, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(out, HasSubstr("CapBnd:\t0000000000000000"));
  EXPECT_THAT(out, HasSubstr("readonly"));
}

TEST_P(ExecutorAccepts, DevicesOfTheHost) {
  EXPECT_THAT(Run("test -c /dev/mine || echo absent"), HasSubstr("absent"));
  runtime::v1::Device* device = config_.add_devices();
  device->set_host_path("/dev/full");
  device->set_container_path("/dev/mine");
  device->set_permissions("rw");
  EXPECT_THAT(Run("test -c /dev/mine && echo x > /dev/mine || echo full"), HasSubstr("full"));
}

TEST_P(ExecutorAccepts, APrivilegedContainer) {
  Security()->set_privileged(true);
  pod_.mutable_linux()->mutable_security_context()->set_privileged(true);
  const std::string out = Run("grep Seccomp: /proc/self/status; mount -t tmpfs none /tmp && echo mounted");
  EXPECT_THAT(out, HasSubstr("Seccomp:\t0"));
  EXPECT_THAT(out, HasSubstr("mounted"));
}

INSTANTIATE_TEST_SUITE_P(Executors, ExecutorAccepts, ::testing::Values("crun", "runc"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace berth::oci
