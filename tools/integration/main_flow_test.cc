// The life of a pod with a container, from pull to removal, with each executor that Berth ships a plugin for.
#include <sys/stat.h>

#include <regex>

#include "absl/strings/match.h"
#include "tools/integration/daemon_test.h"
#include "tools/integration/isolation.h"

namespace berth {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

class MainFlowTest : public DaemonTest, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Executors, MainFlowTest, testing::Values("crun", "runc"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(MainFlowTest, FromRunToRemove) {
  const cri::PodSandboxConfig pod_config = PodConfig("flow");
  const auto pod = RunPod(pod_config, GetParam());
  ASSERT_OK(pod);
  EXPECT_TRUE(std::regex_match(*pod, std::regex("[0-9a-f]{64}"))) << *pod;

  const auto pod_status = PodStatus(*pod);
  ASSERT_OK(pod_status);
  EXPECT_EQ(pod_status->state(), cri::SANDBOX_READY);
  EXPECT_EQ(pod_status->metadata().ShortDebugString(), pod_config.metadata().ShortDebugString());
  EXPECT_GT(pod_status->created_at(), 0);
  EXPECT_EQ(pod_status->runtime_handler(), GetParam());
  EXPECT_EQ(pod_status->labels().at("app"), "flow");
  EXPECT_EQ(pod_status->annotations().at("note"), "of flow");
  EXPECT_TRUE(absl::StartsWith(pod_status->network().ip(), "10.222.")) << pod_status->network().ip();

  cri::ContainerConfig config =
      ShellConfig("main", "echo out; echo err >&2; echo $GREETING $(hostname) $IMAGE; sleep 1000");
  auto* variable = config.add_envs();
  variable->set_key("GREETING");
  variable->set_value("hello");
  const auto container = Create(*pod, pod_config, config);
  ASSERT_OK(container);
  auto status = Status(*container);
  ASSERT_OK(status);
  EXPECT_EQ(status->state(), cri::CONTAINER_CREATED);
  EXPECT_EQ(status->started_at(), 0);
  EXPECT_EQ(status->metadata().name(), "main");
  EXPECT_EQ(status->image().image(), kTestImage);
  EXPECT_FALSE(status->image_ref().empty());
  EXPECT_TRUE(absl::StartsWith(status->image_id(), "sha256:")) << status->image_id();
  EXPECT_EQ(status->log_path(), pod_config.log_directory() + "/main/0.log");

  ASSERT_OK(StartContainer(*container));
  status = Status(*container);
  ASSERT_OK(status);
  EXPECT_EQ(status->state(), cri::CONTAINER_RUNNING);
  EXPECT_GE(status->started_at(), status->created_at());
  const auto inside = Exec(*container, {"/bin/sh", "-c", "echo in; echo bad >&2; exit 3"});
  ASSERT_OK(inside);
  EXPECT_EQ(inside->exit_code(), 3);
  EXPECT_EQ(inside->stdout(), "in\n");
  EXPECT_EQ(inside->stderr(), "bad\n");

  // The shell ignores SIGTERM as PID 1 without a handler: the grace period passes, then it is killed.
  ASSERT_OK(StopContainer(*container, 1));
  status = Status(*container);
  ASSERT_OK(status);
  EXPECT_EQ(status->state(), cri::CONTAINER_EXITED);
  EXPECT_EQ(status->exit_code(), 137);
  EXPECT_GE(status->finished_at(), status->started_at());
  std::vector<std::string> streams;
  for (const LogLine& line : ReadLog(pod_config, "main")) {
    EXPECT_EQ(line.tag, "F");
    EXPECT_TRUE(std::regex_match(
        line.time, std::regex("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d[.]\\d{1,9}(Z|[+-]\\d\\d:\\d\\d)")))
        << line.time;
    streams.push_back(line.stream + " " + line.text);
  }
  EXPECT_THAT(streams, UnorderedElementsAre("stdout out", "stderr err", "stdout hello flow busybox"));

  ASSERT_OK(StopPod(*pod));
  EXPECT_EQ(PodStatus(*pod)->state(), cri::SANDBOX_NOTREADY);
  ASSERT_OK(RemoveContainer(*container));
  EXPECT_CODE(Status(*container), kNotFound);
  ASSERT_OK(RemovePod(*pod));
  EXPECT_CODE(PodStatus(*pod), kNotFound);
}

TEST_P(MainFlowTest, RemovePodTakesEverythingWithIt) {
  RunOne("sleep 1000", GetParam());
  const auto second = Create(pod_, pod_config_, ShellConfig("second", "true"));
  ASSERT_OK(second);
  ASSERT_OK(RemovePod(pod_));
  EXPECT_CODE(Status(container_), kNotFound);
  EXPECT_CODE(Status(*second), kNotFound);
}

TEST_P(MainFlowTest, ExitCodesAndReasons) {
  RunOne("exit 0", GetParam());
  auto status = WaitFor(container_, cri::CONTAINER_EXITED);
  ASSERT_OK(status);
  EXPECT_EQ(status->exit_code(), 0);
  EXPECT_EQ(status->reason(), "Completed");
  const auto failing = Create(pod_, pod_config_, ShellConfig("failing", "exit 42"));
  ASSERT_OK(failing);
  ASSERT_OK(StartContainer(*failing));
  status = WaitFor(*failing, cri::CONTAINER_EXITED);
  ASSERT_OK(status);
  EXPECT_EQ(status->exit_code(), 42);
  EXPECT_EQ(status->reason(), "Error");
  ASSERT_OK(RemovePod(pod_));
}

TEST_P(MainFlowTest, AProgramThatIsNotThereLeavesAnExitedContainer) {
  pod_config_ = PodConfig("one");
  const auto pod = RunPod(pod_config_, GetParam());
  ASSERT_OK(pod);
  const auto container = Create(*pod, pod_config_, ContainerConfig("main", {"/no/such/program"}));
  // crun finds out at create, runc at start.
  if (container.ok()) {
    const absl::Status started = StartContainer(*container);
    EXPECT_FALSE(started.ok());
    EXPECT_THAT(std::string(started.message()), HasSubstr("/no/such/program"));
    const auto status = Status(*container);
    ASSERT_OK(status);
    EXPECT_EQ(status->state(), cri::CONTAINER_EXITED);
    EXPECT_NE(status->exit_code(), 0);
    EXPECT_FALSE(status->reason().empty());
  } else {
    EXPECT_THAT(std::string(container.status().message()), HasSubstr("/no/such/program"));
  }
  ASSERT_OK(RemovePod(*pod));
}

TEST_P(MainFlowTest, MemoryLimitEndsWithOomKilled) {
  pod_config_ = PodConfig("one");
  const auto pod = RunPod(pod_config_, GetParam());
  ASSERT_OK(pod);
  // The shell's own memory grows: it is the one that is killed.
  cri::ContainerConfig config = ShellConfig("main", "x=0123456789abcdef; while :; do x=$x$x; done");
  config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(16 << 20);
  const auto container = Create(*pod, pod_config_, config);
  ASSERT_OK(container);
  ASSERT_OK(StartContainer(*container));
  const auto status = WaitFor(*container, cri::CONTAINER_EXITED);
  ASSERT_OK(status);
  EXPECT_EQ(status->exit_code(), 137);
  EXPECT_EQ(status->reason(), "OOMKilled");
  ASSERT_OK(RemovePod(*pod));
}

class ImageFlowTest : public DaemonTest {};

TEST_F(ImageFlowTest, ListStatusRemove) {
  const auto id = Pull(kTestImage);  // again: the same image
  ASSERT_OK(id);
  const auto list = client().ListImages(cri::ListImagesRequest());
  ASSERT_OK(list);
  ASSERT_EQ(list->images_size(), 1);
  EXPECT_EQ(list->images(0).id(), *id);
  EXPECT_THAT(list->images(0).repo_tags(), ElementsAre(kTestImage));
  EXPECT_GT(list->images(0).size(), 0u);

  cri::ImageStatusRequest request;
  for (const std::string& name : {std::string(kTestImage), *id, id->substr(7), id->substr(7, 12)}) {
    request.mutable_image()->set_image(name);
    const auto status = client().ImageStatus(request);
    ASSERT_OK(status);
    EXPECT_EQ(status->image().id(), *id) << name;
  }
  request.mutable_image()->set_image("example.org/none:1");
  const auto none = client().ImageStatus(request);
  ASSERT_OK(none);
  EXPECT_FALSE(none->has_image());

  cri::ListImagesRequest filtered;
  filtered.mutable_filter()->mutable_image()->set_image("example.org/none:1");
  EXPECT_EQ(client().ListImages(filtered)->images_size(), 0);

  const auto fs_info = client().ImageFsInfo(cri::ImageFsInfoRequest());
  ASSERT_OK(fs_info);
  ASSERT_EQ(fs_info->image_filesystems_size(), 1);
  EXPECT_GT(fs_info->image_filesystems(0).used_bytes().value(), 1u << 20);
  EXPECT_THAT(fs_info->image_filesystems(0).fs_id().mountpoint(), HasSubstr(place_->root()));

  cri::RemoveImageRequest remove;
  remove.mutable_image()->set_image(kTestImage);
  ASSERT_OK(client().RemoveImage(remove));
  ASSERT_OK(client().RemoveImage(remove));
  EXPECT_EQ(client().ListImages(cri::ListImagesRequest())->images_size(), 0);
}

TEST_F(ImageFlowTest, WhatAPullBringsARemovalTakes) {
  cri::RemoveImageRequest remove;
  remove.mutable_image()->set_image(kTestImage);
  ASSERT_OK(client().RemoveImage(remove));
  const LeakCheck::Snapshot with_image = before_;
  NoteWhatExists();
  ASSERT_NO_FATAL_FAILURE(PullTestImage());
  EXPECT_FALSE(leaks_->Leaks(before_, std::chrono::milliseconds(0)).empty()) << "an image that takes no place";
  ASSERT_OK(client().RemoveImage(remove));
}

TEST_F(ImageFlowTest, AnImageInUseOutlivesItsRemoval) {
  RunOne("sleep 1000");
  cri::RemoveImageRequest remove;
  remove.mutable_image()->set_image(kTestImage);
  ASSERT_OK(client().RemoveImage(remove));
  const auto inside = Exec(container_, {"/bin/cat", "/etc/passwd"});
  ASSERT_OK(inside);
  EXPECT_THAT(inside->stdout(), HasSubstr("guest"));
  ASSERT_OK(RemovePod(pod_));
}

class ServiceTest : public DaemonTest {};

TEST_F(ServiceTest, VersionStatusAndConfig) {
  const auto version = client().Version(cri::VersionRequest());
  ASSERT_OK(version);
  EXPECT_EQ(version->version(), "0.1.0");
  EXPECT_EQ(version->runtime_api_version(), "v1");
  EXPECT_EQ(version->runtime_name(), "berth");
  EXPECT_FALSE(version->runtime_version().empty());

  const auto status = client().Status(cri::StatusRequest());
  ASSERT_OK(status);
  std::vector<std::string> conditions;
  for (const auto& condition : status->status().conditions()) {
    if (condition.status()) conditions.push_back(condition.type());
  }
  EXPECT_THAT(conditions, testing::IsSupersetOf({"RuntimeReady", "NetworkReady"})) << status->DebugString();
  std::vector<std::string> handlers;
  for (const auto& handler : status->runtime_handlers()) handlers.push_back(handler.name());
  EXPECT_THAT(handlers, UnorderedElementsAre("", "crun", "runc"));

  const auto config = client().RuntimeConfig(cri::RuntimeConfigRequest());
  ASSERT_OK(config);
  EXPECT_EQ(config->linux().cgroup_driver(), TheWorld().systemd ? cri::SYSTEMD : cri::CGROUPFS);
}

TEST_F(ServiceTest, RpcsNotServedYetSaySo) {
  EXPECT_TRUE(absl::IsUnimplemented(client().CheckpointContainer(cri::CheckpointContainerRequest()).status()));
  EXPECT_TRUE(absl::IsUnimplemented(client().RestorePod(cri::RestorePodRequest()).status()));
}

}  // namespace
}  // namespace berth
