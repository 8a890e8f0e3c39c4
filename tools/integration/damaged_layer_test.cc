// Layers that are damaged between two boots: their images are not there any more, and the next pull brings them back.
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/file.h"
#include "tools/image/oci_layout.h"
#include "tools/integration/daemon_test.h"

namespace berth {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr char kImage[] = "example.org/test/layered:1";
constexpr char kBootId[] = "/proc/sys/kernel/random/boot_id";

class DamagedLayerTest : public DaemonTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(DaemonTest::SetUp());
    const auto busybox = BusyboxEntries();
    ASSERT_OK(busybox);
    const auto base = MakeTar(*busybox);
    ASSERT_OK(base);
    const auto top = MakeTar({{LayerEntry::Type::kDirectory, "data", "", 0755},
                              {LayerEntry::Type::kFile, "data/one", std::string(50'000, '1'), 0644},
                              {LayerEntry::Type::kFile, "data/two", "2", 0644}});
    ASSERT_OK(top);
    ImageSettings settings;
    settings.reference = kImage;
    settings.environment = {"PATH=/bin"};
    ASSERT_OK(AddImage(place_->images() + "/layered", settings, {*base, *top}));
    NoteWhatExists();
    ASSERT_OK(Pull(kImage));
    boot_id_ = place_->directory() + "/boot_id";
  }

  void TearDown() override {
    cri::RemoveImageRequest remove;
    remove.mutable_image()->set_image(kImage);
    EXPECT_OK(client().RemoveImage(remove));
    umount2(kBootId, MNT_DETACH);
    fs::remove(boot_id_);
    DaemonTest::TearDown();
  }

  // Between the last daemon and the next.
  void ChangeTheBoot() {
    umount2(kBootId, MNT_DETACH);
    const std::string id = absl::StrCat("11111111-2222-3333-4444-", 100000000000 + ++boots_, "\n");
    ASSERT_OK(WriteFileAtomic(boot_id_, id, 0444, Durability::kVolatile));
    ASSERT_EQ(mount(boot_id_.c_str(), kBootId, "", MS_BIND, ""), 0) << strerror(errno);
  }

  // The committed tree that has /data.
  fs::path Tree() const {
    for (const auto& layer : fs::directory_iterator(place_->root() + "/snapshots/snapshot_overlay/layers")) {
      if (fs::exists(layer.path() / "fs/data")) return layer.path() / "fs";
    }
    ADD_FAILURE() << "no layer has /data";
    return "";
  }

  bool IsThere(const std::string& image) {
    cri::ImageStatusRequest request;
    request.mutable_image()->set_image(image);
    const auto response = client().ImageStatus(request);
    EXPECT_OK(response);
    return response.ok() && response->has_image();
  }

  // What a container of the image sees of the damaged layer.
  std::string Data() {
    const cri::PodSandboxConfig pod_config = PodConfig("look");
    const auto pod = RunPod(pod_config);
    EXPECT_OK(pod);
    if (!pod.ok()) return "";
    cri::ContainerConfig config = ShellConfig("main", "cat /data/one /data/two | md5sum");
    config.mutable_image()->set_image(kImage);
    std::string text;
    const auto container = Create(*pod, pod_config, config);
    if (container.ok()) {
      EXPECT_OK(StartContainer(*container));
      EXPECT_OK(WaitFor(*container, cri::CONTAINER_EXITED));
      for (const LogLine& line : ReadLog(pod_config, "main")) text += line.text;
      fs::remove_all(place_->logs() + "/look");
    } else {
      text = container.status().ToString();
    }
    EXPECT_OK(RemovePod(*pod));
    return text;
  }

  std::string boot_id_;
  int boots_ = 0;
};

TEST_F(DamagedLayerTest, IsFoundAfterABootAndComesBackWithTheNextPull) {
  const std::string whole = Data();
  ASSERT_THAT(whole, HasSubstr("  -"));
  const std::pair<const char*, std::function<void(const fs::path&)>> damages[] = {
      {"emptied",
       [](const fs::path& tree) {
         for (const auto& entry : fs::directory_iterator(tree)) fs::remove_all(entry.path());
       }},
      {"a file less", [](const fs::path& tree) { fs::remove(tree / "data/two"); }},
      {"a torn file", [](const fs::path& tree) { fs::resize_file(tree / "data/one", 4096); }},
      {"no tree", [](const fs::path& tree) { fs::remove_all(tree); }},
      {"not committed",
       [](const fs::path& tree) {
         const fs::path layer = tree.parent_path();
         fs::rename(layer, layer.parent_path().parent_path() / "active" / layer.filename());
       }},
  };
  for (const auto& [what, damage] : damages) {
    SCOPED_TRACE(what);
    KillDaemon();
    damage(Tree());
    ChangeTheBoot();
    ASSERT_OK(StartDaemon());
    for (const absl::Time end = absl::Now() + absl::Seconds(30); IsThere(kImage) && absl::Now() < end;) {
      absl::SleepFor(absl::Milliseconds(10));
    }
    EXPECT_FALSE(IsThere(kImage));
    EXPECT_TRUE(IsThere(kTestImage)) << "it shares what is whole";
    EXPECT_THAT(DaemonLog(), HasSubstr("have to be pulled again"));
    ASSERT_OK(Pull(kImage));
    EXPECT_EQ(Data(), whole);
  }
}

// It may come before the task behind the start has come to its image.
TEST_F(DamagedLayerTest, NoContainerIsMadeOfIt) {
  const std::string whole = Data();
  for (int i = 0; i < 5; ++i) {
    KillDaemon();
    fs::remove(Tree() / "data/two");
    ChangeTheBoot();
    ASSERT_OK(StartDaemon());
    EXPECT_THAT(Data(), HasSubstr("NOT_FOUND"));
    ASSERT_OK(Pull(kImage));
    EXPECT_EQ(Data(), whole);
  }
}

}  // namespace
}  // namespace berth
