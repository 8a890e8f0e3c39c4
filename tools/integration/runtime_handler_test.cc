// Runtime handlers: each with its executor, one of them with a snapshotter of its own.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "tools/integration/daemon_test.h"

namespace berth {
namespace {

using testing::HasSubstr;
using testing::UnorderedElementsAre;

PlaceOptions WithHandlers() {
  PlaceOptions options;
  options.more_config = R"(
[runtime.handlers.apart]
executor = "executor_oci"
binary = "/usr/bin/crun"
snapshotter = "elsewhere"
[runtime.handlers.absent]
executor = "executor_oci"
binary = "/nonexistent/kata"
[plugin.elsewhere]
plugin = "snapshot_overlay"
)";
  return options;
}

class RuntimeHandlerTest : public DaemonTest {
 protected:
  RuntimeHandlerTest() : DaemonTest(WithHandlers()) {}

  absl::Status PullFor(const std::string& handler) {
    cri::PullImageRequest request;
    request.mutable_image()->set_image(kTestImage);
    request.mutable_image()->set_runtime_handler(handler);
    return client().PullImage(request).status();
  }
  bool IsThereFor(const std::string& handler) {
    cri::ImageStatusRequest request;
    request.mutable_image()->set_image(kTestImage);
    request.mutable_image()->set_runtime_handler(handler);
    const auto status = client().ImageStatus(request);
    EXPECT_OK(status);
    return status.ok() && status->has_image();
  }
  absl::Status RemoveTheImage() {
    cri::RemoveImageRequest request;
    request.mutable_image()->set_image(kTestImage);
    return client().RemoveImage(request).status();
  }
  size_t SnapshotsOf(const std::string& snapshotter) const {
    size_t count = 0;
    for (const char* kind : {"/layers", "/active"}) {
      count += ListDir(place_->root() + "/snapshots/" + snapshotter + kind).value_or(std::vector<std::string>()).size();
    }
    return count;
  }
};

TEST_F(RuntimeHandlerTest, EachIsListedAndTheUnknownIsRefused) {
  const auto status = client().Status({});
  ASSERT_OK(status);
  std::vector<std::string> names;
  for (const auto& handler : status->runtime_handlers()) names.push_back(handler.name());
  EXPECT_THAT(names, UnorderedElementsAre("", "crun", "runc", "apart")) << "what cannot be made is left out";
  for (const char* unknown : {"absent", "kata"}) {
    const auto pod = RunPod(PodConfig("one"), unknown);
    EXPECT_CODE(pod, kInvalidArgument);
    EXPECT_THAT(pod.status().message(), HasSubstr(absl::StrCat("\"", unknown, "\"")));
    EXPECT_CODE(PullFor(unknown), kInvalidArgument);
  }
  EXPECT_THAT(DaemonLog(), HasSubstr("/nonexistent/kata"));
}

TEST_F(RuntimeHandlerTest, ContainersRunFromTheSnapshotterOfTheirHandler) {
  // The image was pulled for no handler in particular: for all.
  EXPECT_TRUE(IsThereFor("") && IsThereFor("crun") && IsThereFor("apart"));
  const size_t layers = SnapshotsOf("elsewhere");
  EXPECT_GT(layers, 0u);
  EXPECT_EQ(SnapshotsOf("snapshot_overlay"), layers);
  RunOne("sleep 1000", "apart");
  EXPECT_EQ(SnapshotsOf("elsewhere"), layers + 1);
  EXPECT_EQ(SnapshotsOf("snapshot_overlay"), layers);
  EXPECT_EQ(PodStatus(pod_)->runtime_handler(), "apart");
  cri::ContainerStatusRequest request;
  request.set_container_id(container_);
  request.set_verbose(true);
  const auto info = client().ContainerStatus(request);
  ASSERT_OK(info);
  EXPECT_THAT(info->info().at("info"), HasSubstr("\"snapshotter\":\"elsewhere\""));
  EXPECT_THAT(info->info().at("info"), HasSubstr("\"runtimeHandler\":\"apart\""));
  ASSERT_OK(RestartDaemon());
  EXPECT_OK(Exec(container_, {"/bin/true"}));
  EXPECT_EQ(SnapshotsOf("elsewhere"), layers + 1);
  EXPECT_OK(RemovePod(pod_));
  EXPECT_EQ(client().ImageFsInfo({})->image_filesystems_size(), 2);
}

TEST_F(RuntimeHandlerTest, AnImageIsPulledForOneHandler) {
  ASSERT_OK(RemoveTheImage());
  EXPECT_EQ(SnapshotsOf("elsewhere") + SnapshotsOf("snapshot_overlay"), 0u);
  ASSERT_OK(PullFor("crun"));
  EXPECT_TRUE(IsThereFor("") && IsThereFor("runc"));
  EXPECT_FALSE(IsThereFor("apart"));
  pod_config_ = PodConfig("one");
  const auto pod = RunPod(pod_config_, "apart");
  ASSERT_OK(pod);
  const auto early = Create(*pod, pod_config_, ShellConfig("main", "sleep 1000"));
  EXPECT_CODE(early, kFailedPrecondition);
  EXPECT_THAT(early.status().message(), HasSubstr("pull it again"));
  ASSERT_OK(RemovePod(*pod));
  ASSERT_OK(PullFor("apart"));
  EXPECT_TRUE(IsThereFor("apart"));
  EXPECT_EQ(client().ListImages({})->images_size(), 1);
  NoteWhatExists();  // the layers have other numbers than those of the first pull
  RunOne("sleep 1000", "apart");
  EXPECT_OK(RemovePod(pod_));
}

}  // namespace
}  // namespace berth
