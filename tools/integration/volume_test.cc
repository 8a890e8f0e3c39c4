// Volumes as a container sees them: propagation, read-only with everything below, options, what images declare.
#include <sys/mount.h>

#include "core/base/file.h"
#include "tools/image/oci_layout.h"
#include "tools/integration/daemon_test.h"

namespace berth {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// With each executor.
class VolumeTest : public DaemonTest, public testing::WithParamInterface<const char*> {
 protected:
  // As on a node: /run is a mount of its own.
  VolumeTest() : DaemonTest(PlaceOptions{.state = "/run/berth"}) {}

  // A directory of the host with a tmpfs mounted in it at "below".
  void SetUp() override {
    DaemonTest::SetUp();
    if (HasFatalFailure()) return;
    volume_ = place_->logs() + "/volume";
    ASSERT_OK(MakeDirs(volume_ + "/below"));
    ASSERT_EQ(mount("t", (volume_ + "/below").c_str(), "tmpfs", 0, nullptr), 0);
  }
  void TearDown() override {
    umount2((volume_ + "/below/late").c_str(), MNT_DETACH);
    umount2((volume_ + "/from-inside").c_str(), MNT_DETACH);
    umount2((volume_ + "/below").c_str(), MNT_DETACH);
    DaemonTest::TearDown();
  }

  static cri::Mount* AddVolume(cri::ContainerConfig& config, const std::string& source, const std::string& target) {
    cri::Mount* mount = config.add_mounts();
    mount->set_host_path(source);
    mount->set_container_path(target);
    return mount;
  }

  // What `config` prints on standard output, line by line, in a pod of its own.
  std::vector<std::string> LinesOf(const cri::ContainerConfig& config) {
    const auto container = CreateIn(config);
    EXPECT_OK(container);
    if (!container.ok()) return {};
    EXPECT_OK(StartContainer(*container));
    EXPECT_OK(WaitFor(*container, cri::CONTAINER_EXITED));
    std::vector<std::string> lines;
    for (const LogLine& line : ReadLog(pod_config_, "main")) {
      if (line.stream == "stdout") lines.push_back(line.text);
    }
    return lines;
  }
  absl::StatusOr<std::string> CreateIn(const cri::ContainerConfig& config) {
    pod_config_ = PodConfig("one");
    *pod_config_.mutable_linux()->mutable_security_context() = pod_security_;
    if (!config.linux().security_context().privileged()) {
      pod_config_.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(cri::CONTAINER);
    }
    const auto pod = RunPod(pod_config_, GetParam());
    if (!pod.ok()) return pod.status();
    pod_ = *pod;
    return Create(pod_, pod_config_, config);
  }

  std::string volume_;
  cri::LinuxSandboxSecurityContext pod_security_;
};

TEST_P(VolumeTest, ReadOnlyStopsAtWhatIsMountedBelow) {
  cri::ContainerConfig config = ShellConfig("main", "(>/v/x) 2>/dev/null; echo $?; (>/v/below/x) 2>/dev/null; echo $?");
  AddVolume(config, volume_, "/v")->set_readonly(true);
  EXPECT_THAT(LinesOf(config), ElementsAre("1", "0"));
  ASSERT_OK(RemovePod(pod_));
}

TEST_P(VolumeTest, RecursiveReadOnlyDoesNot) {
  const auto status = client().Status(cri::StatusRequest());
  ASSERT_OK(status);
  for (const cri::RuntimeHandler& handler : status->runtime_handlers()) {
    EXPECT_TRUE(handler.features().recursive_read_only_mounts()) << handler.name();
  }
  cri::ContainerConfig config = ShellConfig("main", "(>/v/x) 2>/dev/null; echo $?; (>/v/below/x) 2>/dev/null; echo $?");
  cri::Mount* mount = AddVolume(config, volume_, "/v");
  mount->set_readonly(true);
  mount->set_recursive_read_only(true);
  EXPECT_THAT(LinesOf(config), ElementsAre("1", "1"));
  ASSERT_OK(RemovePod(pod_));
}

TEST_P(VolumeTest, RecursiveReadOnlyIsRefusedWhereItMeansNothing) {
  cri::ContainerConfig config = ShellConfig("main", "true");
  cri::Mount* mount = AddVolume(config, volume_, "/v");
  mount->set_recursive_read_only(true);
  absl::Status refused = CreateIn(config).status();
  EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), StartsWith("RROUnsupported"));
  mount->set_readonly(true);
  mount->set_propagation(cri::PROPAGATION_HOST_TO_CONTAINER);
  refused = Create(pod_, pod_config_, config).status();
  EXPECT_THAT(std::string(refused.message()), StartsWith("RROUnsupported"));
  ASSERT_OK(RemovePod(pod_));
}

TEST_P(VolumeTest, MountOptionsHold) {
  ASSERT_OK(WriteFileAtomic(volume_ + "/program", "#!/bin/sh\necho ran\n", 0755, Durability::kVolatile));
  cri::ContainerConfig config = ShellConfig("main", "/v/program; /n/program 2>/dev/null || echo refused");
  AddVolume(config, volume_, "/v");
  AddVolume(config, volume_, "/n")->add_mount_options("noexec");
  EXPECT_THAT(LinesOf(config), ElementsAre("ran", "refused"));
  ASSERT_OK(RemovePod(pod_));
}

// What the host mounts later: seen by slaves and peers, and not by a private volume.
TEST_P(VolumeTest, HostMountsComeIn) {
  const struct {
    cri::MountPropagation propagation;
    const char* seen;
  } cases[] = {{cri::PROPAGATION_PRIVATE, "0\n"},
               {cri::PROPAGATION_HOST_TO_CONTAINER, "1\n"},
               {cri::PROPAGATION_BIDIRECTIONAL, "1\n"}};
  for (const auto& [propagation, seen] : cases) {
    SCOPED_TRACE(cri::MountPropagation_Name(propagation));
    cri::ContainerConfig config = ShellConfig("main", "sleep 1000");
    AddVolume(config, volume_, "/v")->set_propagation(propagation);
    pod_security_.set_privileged(true);
    config.mutable_linux()->mutable_security_context()->set_privileged(true);
    const auto container = CreateIn(config);
    ASSERT_OK(container);
    ASSERT_OK(StartContainer(*container));
    ASSERT_OK(MakeDirs(volume_ + "/below/late"));
    ASSERT_EQ(mount("late", (volume_ + "/below/late").c_str(), "tmpfs", 0, nullptr), 0);
    const auto inside = Exec(*container, {"/bin/sh", "-c", "grep -c ' /v/below/late tmpfs' /proc/self/mounts"});
    ASSERT_OK(inside);
    EXPECT_EQ(inside->stdout(), seen);
    const auto out = Exec(*container, {"/bin/sh", "-c", "mkdir -p /v/from-inside && mount -t tmpfs f /v/from-inside"});
    ASSERT_OK(out);
    EXPECT_EQ(out->exit_code(), 0) << out->stderr();
    const auto host = ReadFile("/proc/self/mounts");
    ASSERT_OK(host);
    EXPECT_EQ(host->find(volume_ + "/from-inside tmpfs") != std::string::npos,
              propagation == cri::PROPAGATION_BIDIRECTIONAL);
    umount2((volume_ + "/from-inside").c_str(), MNT_DETACH);
    umount2((volume_ + "/below/late").c_str(), MNT_DETACH);
    ASSERT_OK(RemovePod(pod_));
  }
}

TEST_P(VolumeTest, PropagationNeedsAMountThatCan) {
  ASSERT_EQ(mount(nullptr, (volume_ + "/below").c_str(), nullptr, MS_PRIVATE, nullptr), 0);
  cri::ContainerConfig config = ShellConfig("main", "true");
  cri::Mount* volume = AddVolume(config, volume_ + "/below", "/v");
  volume->set_propagation(cri::PROPAGATION_HOST_TO_CONTAINER);
  const absl::Status slave = CreateIn(config).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(slave)) << slave;
  EXPECT_THAT(std::string(slave.message()), HasSubstr("not shared or a slave"));
  volume->set_propagation(cri::PROPAGATION_BIDIRECTIONAL);
  EXPECT_TRUE(absl::IsFailedPrecondition(Create(pod_, pod_config_, config).status()));
  volume->set_propagation(cri::PROPAGATION_PRIVATE);
  EXPECT_OK(Create(pod_, pod_config_, config));
  ASSERT_OK(RemovePod(pod_));
}

// The image's volume has what the image put there and stays writable; a mount of the container's takes its place.
TEST_P(VolumeTest, WhatTheImageDeclares) {
  auto busybox = BusyboxEntries();
  ASSERT_OK(busybox);
  busybox->push_back({LayerEntry::Type::kDirectory, "srv", "", 0755});
  busybox->push_back({LayerEntry::Type::kDirectory, "srv/data", "", 0750});
  busybox->push_back({LayerEntry::Type::kFile, "srv/data/given", "of the image\n", 0644});
  busybox->push_back({LayerEntry::Type::kSymlink, "link", "/etc", 0777});
  const auto layer = MakeTar(*busybox);
  ASSERT_OK(layer);
  ImageSettings settings;
  settings.reference = "example.org/test/volumes:1";
  settings.volumes = {"/srv/data", "/link/made", "/replaced"};
  const auto image = AddImage(place_->images() + "/volumes", settings, {*layer});
  ASSERT_OK(image);
  NoteWhatExists();
  const auto id = Pull(settings.reference);
  ASSERT_OK(id);
  cri::ContainerConfig config = ShellConfig(
      "main",
      "cat /srv/data/given; stat -c %a /srv/data; (>/etc/x) 2>/dev/null; echo $?; (>/srv/data/x) && echo writable;"
      "(>/etc/made/x) && echo writable; ls /replaced");
  config.mutable_image()->set_image(*id);
  config.mutable_linux()->mutable_security_context()->set_readonly_rootfs(true);
  AddVolume(config, volume_, "/replaced");
  EXPECT_THAT(LinesOf(config), ElementsAre("of the image", "750", "1", "writable", "writable", "below"));
  ASSERT_OK(RemovePod(pod_));
  cri::RemoveImageRequest remove;
  remove.mutable_image()->set_image(*id);
  ASSERT_OK(client().RemoveImage(remove));
}

INSTANTIATE_TEST_SUITE_P(Executors, VolumeTest, testing::Values("crun", "runc"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace berth
