// Pods in a user namespace: whose ids their processes, files and volumes have, inside and on the node.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/strip.h"
#include "core/base/file.h"
#include "tools/image/oci_layout.h"
#include "tools/integration/daemon_test.h"

namespace berth {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr uint32_t kHost = 200000, kCount = 65536;

// With each executor, neither of which can map mounts itself.
class UserNamespaceTest : public DaemonTest, public testing::WithParamInterface<const char*> {
 protected:
  UserNamespaceTest() : DaemonTest(PlaceOptions{.state = "/run/berth"}) {}

  void SetUp() override {
    DaemonTest::SetUp();
    if (HasFatalFailure()) return;
    pod_config_ = PodConfig("mapped");
    Map(pod_config_.mutable_linux()->mutable_security_context()->mutable_namespace_options());
  }

  static void SetLine(cri::IDMapping* line, uint32_t inside = 0) {
    line->set_container_id(inside);
    line->set_host_id(kHost);
    line->set_length(kCount);
  }
  static void Map(cri::NamespaceOption* options) {
    options->mutable_userns_options()->set_mode(cri::POD);
    SetLine(options->mutable_userns_options()->add_uids());
    SetLine(options->mutable_userns_options()->add_gids());
  }
  static cri::ContainerConfig MappedConfig(const std::string& name, const std::string& script) {
    cri::ContainerConfig config = ShellConfig(name, script);
    Map(config.mutable_linux()->mutable_security_context()->mutable_namespace_options());
    return config;
  }
  static cri::Mount* AddVolume(cri::ContainerConfig& config, const std::string& source, const std::string& target,
                               bool mapped = true) {
    cri::Mount* mount = config.add_mounts();
    mount->set_host_path(source);
    mount->set_container_path(target);
    if (mapped) SetLine(mount->add_uidmappings());
    if (mapped) SetLine(mount->add_gidmappings());
    return mount;
  }

  absl::StatusOr<std::string> CreateIn(const cri::ContainerConfig& config) {
    if (pod_.empty()) {
      const auto pod = RunPod(pod_config_, GetParam());
      if (!pod.ok()) return pod.status();
      pod_ = *pod;
    }
    return Create(pod_, pod_config_, config);
  }
  std::vector<std::string> LinesOf(const cri::ContainerConfig& config, const char* stream = "stdout") {
    const auto container = CreateIn(config);
    EXPECT_OK(container);
    if (!container.ok()) return {};
    EXPECT_OK(StartContainer(*container));
    EXPECT_OK(WaitFor(*container, cri::CONTAINER_EXITED));
    std::vector<std::string> lines, other;
    for (const LogLine& line : ReadLog(pod_config_, config.metadata().name())) {
      (line.stream == stream ? lines : other).emplace_back(absl::StripSuffix(line.text, "\r"));  // of a terminal
    }
    for (const std::string& line : other) std::fprintf(stderr, "the container says: %s\n", line.c_str());
    return lines;
  }
  static struct stat StatOf(const std::string& path) {
    struct stat st = {};
    EXPECT_EQ(stat(path.c_str(), &st), 0) << path;
    return st;
  }
};

TEST_P(UserNamespaceTest, RootIsNobodyOnTheNode) {
  const auto status = client().Status(cri::StatusRequest());
  ASSERT_OK(status);
  for (const cri::RuntimeHandler& handler : status->runtime_handlers()) {
    EXPECT_TRUE(handler.features().user_namespaces()) << handler.name();
  }
  cri::ContainerConfig config = MappedConfig("main", "id -u; cat /proc/self/uid_map /proc/self/gid_map; sleep 1000");
  const auto container = CreateIn(config);
  ASSERT_OK(container);
  ASSERT_OK(StartContainer(*container));
  const auto inside = Exec(*container, {"/bin/sh", "-c",
                                        "id -u; stat -c %u:%g / /etc/passwd /bin/busybox; "
                                        "echo mine > /root-file && chown 7:8 /root-file && "
                                        "stat -c %u:%g /root-file /etc/resolv.conf /dev/shm"});
  ASSERT_OK(inside);
  EXPECT_EQ(inside->stdout(), "0\n0:0\n0:0\n0:0\n7:8\n0:0\n0:0\n") << inside->stderr();
  const auto net = Exec(*container, {"/bin/sh", "-c",
                                     "cat /proc/sys/net/ipv4/ip_unprivileged_port_start; "
                                     "ip link add dummy7 type dummy 2>/dev/null; echo $?"});
  ASSERT_OK(net);
  EXPECT_THAT(net->stdout(), HasSubstr("0\n"));
  // On the node the process is nobody, and what it wrote is root's on disk.
  cri::ContainerStatusRequest request;
  request.set_container_id(*container);
  request.set_verbose(true);
  const auto shown = client().ContainerStatus(request);
  ASSERT_OK(shown);
  EXPECT_EQ(shown->status().user().linux().uid(), 0);
  std::vector<std::string> lines;
  for (const LogLine& line : ReadLog(pod_config_, "main")) lines.push_back(line.text);
  ASSERT_GE(lines.size(), 3u);
  EXPECT_EQ(lines[0], "0");
  EXPECT_THAT(lines[1], AllOf(HasSubstr("200000"), HasSubstr("65536")));
  bool found = false;
  for (const std::string& pid : ListDir("/proc").value_or(std::vector<std::string>())) {
    const std::string command = ReadFile("/proc/" + pid + "/cmdline").value_or("");
    if (command != std::string("sleep\0001000\0", 11)) continue;
    found = true;
    EXPECT_EQ(StatOf("/proc/" + pid).st_uid, kHost);
  }
  EXPECT_TRUE(found) << "no such process";
  ASSERT_OK(RemovePod(pod_));
}

// On disk the files are root's and 1000's; so they are inside, and a pod of other ids sees the same.
TEST_P(UserNamespaceTest, VolumesCarryThePodsIds) {
  const std::string volume = place_->logs() + "/volume";
  ASSERT_OK(MakeDirs(volume + "/closed"));
  ASSERT_OK(WriteFileAtomic(volume + "/file", "content\n", 0600, Durability::kVolatile));
  ASSERT_EQ(chown((volume + "/file").c_str(), 1000, 1000), 0);
  ASSERT_OK(WriteFileAtomic(volume + "/closed/secret", "secret\n", 0600, Durability::kVolatile));
  ASSERT_EQ(chmod((volume + "/closed").c_str(), 0700), 0);
  cri::ContainerConfig config = MappedConfig(
      "main",
      "stat -c %u /v /v/file; cat /v/file; echo x > /v/new; stat -c %u /plain; (>/plain/no) 2>/dev/null || echo closed;"
      "cat /secret; (>/ro/x) 2>/dev/null || echo readonly; (>/locked/x) 2>/dev/null || echo locked");
  AddVolume(config, volume, "/v");
  AddVolume(config, volume, "/plain", /*mapped=*/false);
  AddVolume(config, volume + "/closed/secret", "/secret");
  AddVolume(config, volume, "/ro")->set_readonly(true);
  // From a mount whose nosuid and nodev a user namespace may not take away.
  AddVolume(config, "/run/lock", "/locked", /*mapped=*/false)->set_readonly(true);
  EXPECT_THAT(LinesOf(config), ElementsAre("0", "1000", "content", "65534", "closed", "secret", "readonly", "locked"));
  EXPECT_EQ(StatOf(volume + "/new").st_uid, 0u);
  ASSERT_OK(RemovePod(pod_));
}

TEST_P(UserNamespaceTest, PidNamespaceOfThePodAndATerminal) {
  pod_config_.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(cri::POD);
  cri::ContainerConfig config = MappedConfig(
      "main", "echo $$; tty; ls -A /proc/1/root/ | wc -l; touch /dev/shm/x && echo shm; mount | grep -c mqueue");
  config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(cri::POD);
  config.set_tty(true);
  const std::vector<std::string> lines = LinesOf(config);
  ASSERT_GE(lines.size(), 5u);
  EXPECT_NE(lines[0], "1");
  EXPECT_THAT(lines[1], HasSubstr("/dev/"));
  EXPECT_THAT(lines, Contains("0")) << "names in the root of the pod's init";
  EXPECT_THAT(lines, Contains("shm"));
  EXPECT_EQ(lines.back(), "1") << "message queues";
  ASSERT_OK(RemovePod(pod_));
}

TEST_P(UserNamespaceTest, WorkingDirectoryUsersAndImageVolumes) {
  auto busybox = BusyboxEntries();
  ASSERT_OK(busybox);
  const auto layer = MakeTar(*busybox);
  ASSERT_OK(layer);
  ImageSettings settings;
  settings.reference = "example.org/test/mapped:1";
  settings.working_directory = "/made/deep";
  settings.volumes = {"/data"};
  ASSERT_OK(AddImage(place_->images() + "/mapped", settings, {*layer}));
  NoteWhatExists();
  const auto id = Pull(settings.reference);
  ASSERT_OK(id);
  cri::ContainerConfig config = MappedConfig(
      "main", "pwd; stat -c %u . /data; (>/etc/x) 2>/dev/null || echo readonly; (>/data/x) && echo writable");
  config.mutable_image()->set_image(*id);
  config.mutable_linux()->mutable_security_context()->set_readonly_rootfs(true);
  EXPECT_THAT(LinesOf(config), ElementsAre("/made/deep", "0", "0", "readonly", "writable"));
  config = MappedConfig("user", "id -u; id -G");
  config.mutable_linux()->mutable_security_context()->set_run_as_username("guest");
  EXPECT_THAT(LinesOf(config), ElementsAre("1000", "1000 50"));
  config.mutable_linux()->mutable_security_context()->clear_run_as_username();
  config.mutable_linux()->mutable_security_context()->mutable_run_as_user()->set_value(kCount);
  config.mutable_metadata()->set_attempt(1);
  EXPECT_CODE(CreateIn(config), kInvalidArgument);
  ASSERT_OK(RemovePod(pod_));
  cri::RemoveImageRequest remove;
  remove.mutable_image()->set_image(*id);
  ASSERT_OK(client().RemoveImage(remove));
}

TEST_P(UserNamespaceTest, ADaemonThatComesLaterGoesOn) {
  const auto first = CreateIn(MappedConfig("first", "sleep 1000"));
  ASSERT_OK(first);
  ASSERT_OK(StartContainer(*first));
  ASSERT_OK(RestartDaemon());
  EXPECT_THAT(LinesOf(MappedConfig("main", "id -u; stat -c %u /etc")), ElementsAre("0", "0"));
  const auto inside = Exec(*first, {"/bin/sh", "-c", "cat /proc/self/uid_map"});
  ASSERT_OK(inside);
  EXPECT_THAT(inside->stdout(), HasSubstr("200000"));
  ASSERT_OK(RemovePod(pod_));
}

TEST_P(UserNamespaceTest, WhatCannotBeMappedIsRefused) {
  const auto refused = [&](auto change) {
    cri::PodSandboxConfig pod = pod_config_;
    change(pod.mutable_linux()->mutable_security_context()->mutable_namespace_options());
    EXPECT_CODE(RunPod(pod, GetParam()), kInvalidArgument);
  };
  refused([](auto* o) { SetLine(o->mutable_userns_options()->add_uids(), kCount); });
  refused([](auto* o) { o->mutable_userns_options()->mutable_uids(0)->set_container_id(1); });
  refused([](auto* o) { o->mutable_userns_options()->set_mode(cri::CONTAINER); });
  refused([](auto* o) { o->mutable_userns_options()->set_mode(cri::TARGET); });
  refused([](auto* o) { o->set_pid(cri::NODE); });

  EXPECT_CODE(CreateIn(ShellConfig("plain", "true")), kInvalidArgument);  // not the pod's user namespace
  cri::ContainerConfig config = MappedConfig("main", "true");
  // A file system that has no id-mapped mounts.
  AddVolume(config, "/proc/sys", "/v");
  const absl::Status proc = CreateIn(config).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(proc)) << proc;
  EXPECT_THAT(std::string(proc.message()), HasSubstr("/proc/sys"));
  config.mutable_mounts(0)->set_host_path("/tmp");
  config.mutable_mounts(0)->mutable_uidmappings(0)->set_host_id(kHost + 1);
  EXPECT_CODE(CreateIn(config), kInvalidArgument);
  ASSERT_OK(RemovePod(pod_));

  const cri::PodSandboxConfig plain = PodConfig("plain");
  const auto pod = RunPod(plain, GetParam());
  ASSERT_OK(pod);
  EXPECT_CODE(Create(*pod, plain, MappedConfig("main", "true")), kInvalidArgument);
  ASSERT_OK(RemovePod(*pod));
}

INSTANTIATE_TEST_SUITE_P(Executors, UserNamespaceTest, testing::Values("crun", "runc"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace berth
