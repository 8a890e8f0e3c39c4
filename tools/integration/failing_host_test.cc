// Parts of the node that fail: CNI plugins, executors, disks, files that are no plugins.
#include <sys/mount.h>
#include <sys/stat.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/file.h"
#include "tools/integration/daemon_test.h"
#include "tools/integration/isolation.h"

namespace berth {
namespace {

using testing::HasSubstr;

class FailingNetworkTest : public DaemonTest {
 protected:
  FailingNetworkTest() {
    options_.moody_network = true;
    options_.network_timeout_seconds = 5;
  }
  void SetMood(const std::string& mood) { ASSERT_OK(place_->SetMood(mood)); }
  void TearDown() override {
    if (place_.has_value()) {
      EXPECT_OK(place_->SetMood(""));
    }
    if (daemon_.pid() != 0) {
      RunOne("true");
      EXPECT_OK(RemovePod(pod_));
    }
    DaemonTest::TearDown();
  }
  void NoteWhatExistsWithMood() {
    ASSERT_NO_FATAL_FAILURE(SetMood(""));
    NoteWhatExists();
  }
};

TEST_F(FailingNetworkTest, AddFails) {
  NoteWhatExistsWithMood();
  SetMood("fail-add");
  const auto pod = RunPod(PodConfig("bad"));
  EXPECT_FALSE(pod.ok());
  EXPECT_THAT(std::string(pod.status().message()), HasSubstr("not in the mood"));
}

TEST_F(FailingNetworkTest, AddPrintsGarbage) {
  NoteWhatExistsWithMood();
  SetMood("garbage-add");
  EXPECT_FALSE(RunPod(PodConfig("bad")).ok());
}

TEST_F(FailingNetworkTest, AddMisbehaves) {
  NoteWhatExistsWithMood();
  for (const auto& [mood, why] :
       std::map<std::string, std::string>{{"flood-add", "printed more than 1048576 bytes"},
                                          {"crash-add", "was killed by signal 11 (SIGSEGV)"},
                                          {"lie-add", "there is no interface eth0 in the network namespace"}}) {
    SetMood(mood);
    const auto pod = RunPod(PodConfig("bad"));
    EXPECT_FALSE(pod.ok()) << mood;
    EXPECT_THAT(std::string(pod.status().message()), HasSubstr(why));
  }
}

TEST_F(FailingNetworkTest, AddHangs) {
  NoteWhatExistsWithMood();
  SetMood("hang-add");
  const absl::Time start = absl::Now();
  EXPECT_CODE(RunPod(PodConfig("bad")), kDeadlineExceeded);
  EXPECT_LT(absl::Now() - start, absl::Seconds(60));
}

TEST_F(FailingNetworkTest, DelFailsAndIsRetried) {
  NoteWhatExistsWithMood();
  for (const char* mood : {"fail-del", "garbage-del", "hang-del"}) {
    const auto pod = RunPod(PodConfig("bad"));
    ASSERT_OK(pod);
    SetMood(mood);
    // Kept, so that the address is not lost: the kubelet calls again.
    EXPECT_FALSE(StopPod(*pod).ok()) << mood;
    SetMood("");
    EXPECT_OK(StopPod(*pod));
    EXPECT_OK(RemovePod(*pod));
  }
}

class MissingExecutorTest : public DaemonTest {
 protected:
  MissingExecutorTest() { options_.runc = "/no/such/runc"; }
};

TEST_F(MissingExecutorTest, IsAnErrorOfThatHandlerOnly) {
  const auto pod = RunPod(PodConfig("bad"), "runc");
  if (pod.ok()) {
    const auto container = Create(*pod, PodConfig("bad"), ShellConfig("main", "true"));
    EXPECT_FALSE(container.ok());
    EXPECT_THAT(std::string(container.status().message()), HasSubstr("/no/such/runc"));
    EXPECT_OK(RemovePod(*pod));
  } else {
    EXPECT_FALSE(pod.status().message().empty());
  }
  RunOne("true", "crun");
  EXPECT_OK(RemovePod(pod_));
}

class FullDiskTest : public DaemonTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(MakePlace());
    ASSERT_EQ(mount("tmpfs", place_->root().c_str(), "tmpfs", 0, "size=8m"), 0);
    ASSERT_OK(StartDaemon());
    NoteWhatExists();
  }
  void TearDown() override {
    // The daemon's last write is behind us, and the place can be removed.
    if (daemon_.pid() != 0) {
      ExpectNothingLeft();
      client_.reset();
      EXPECT_OK(daemon_.Terminate(absl::Seconds(30)));
    }
    EXPECT_EQ(umount(place_->root().c_str()), 0);
    DaemonTest::TearDown();
  }
};

TEST_F(FullDiskTest, PullSaysSoAndLeavesNothing) {
  const auto layer = MakeTar({{LayerEntry::Type::kFile, "big", std::string(12 << 20, 'x'), 0644}});
  ImageSettings settings;
  settings.reference = "example.org/test/big:1";
  ASSERT_OK(AddImage(place_->images() + "/big", settings, {*layer}));
  NoteWhatExists();
  EXPECT_CODE(Pull("example.org/test/big:1"), kResourceExhausted);
  // There is room for the small one again.
  ASSERT_OK(Pull(kTestImage));
  cri::RemoveImageRequest remove;
  remove.mutable_image()->set_image(kTestImage);
  EXPECT_OK(client().RemoveImage(remove));
}

class BadStartTest : public DaemonTest {
 protected:
  void SetUp() override { ASSERT_NO_FATAL_FAILURE(MakePlace()); }
  void TearDown() override {
    if (daemon_.pid() != 0) {
      EXPECT_OK(daemon_.Terminate(absl::Seconds(30)));
    }
    if (HasFailure()) std::fprintf(stderr, "--- the daemon's log\n%s---\n", DaemonLog().c_str());
    EXPECT_OK(RemoveTree(place_->directory()));
  }
  // The daemon ends by itself, with an error that names the cause.
  void ExpectRefusesToStart(const std::string& cause) {
    auto daemon = DaemonProcess::Start(BuiltDaemon(TheWorld().runfiles), place_->config(), place_->daemon_log());
    ASSERT_OK(daemon);
    const auto status = daemon->WaitForEnd(absl::Seconds(30));
    ASSERT_OK(status);
    EXPECT_TRUE(WIFEXITED(*status)) << *status;
    EXPECT_NE(*status, 0);
    EXPECT_THAT(DaemonLog(), HasSubstr(cause));
  }
};

TEST_F(BadStartTest, ReadOnlyStateDirectory) {
  ASSERT_OK(MakeDirs(place_->state()));
  ASSERT_EQ(mount("tmpfs", place_->state().c_str(), "tmpfs", MS_RDONLY, nullptr), 0);
  ExpectRefusesToStart(place_->state());
  ASSERT_EQ(umount(place_->state().c_str()), 0);
}

TEST_F(BadStartTest, ConfigurationWithFaults) {
  std::string config = ReadFile(place_->config()).value_or("");
  ASSERT_OK(WriteFileAtomic(place_->config(), config + "\n[grpc2]\nx = 1\n", 0644, Durability::kVolatile));
  ExpectRefusesToStart("grpc2");
}

TEST_F(BadStartTest, AFileThatIsNoPluginCostsItsHandlerOnly) {
  std::string config = ReadFile(place_->config()).value_or("");
  const std::map<std::string, std::string> files = {
      {"text", "this is no shared object"},
      {"empty", ""},
      {"foreign", ReadFile("/lib/x86_64-linux-gnu/libz.so.1", 4 << 20).value_or("")},
      {"open", "writable by everybody"},
  };
  for (const auto& [name, content] : files) {
    const std::string path = absl::StrCat(place_->plugins(), "/", name, ".so");
    ASSERT_OK(WriteFileAtomic(path, content, 0755, Durability::kVolatile));
    if (name == "open") {
      ASSERT_EQ(chmod(path.c_str(), 0777), 0);
    }
    absl::StrAppend(&config, "\n[runtime.handlers.", name, "]\nexecutor = \"", name, "\"\n");
  }
  ASSERT_OK(WriteFileAtomic(place_->config(), config, 0644, Durability::kVolatile));
  ASSERT_OK(StartDaemon());
  ASSERT_NO_FATAL_FAILURE(PullTestImage());
  for (const auto& [name, content] : files) {
    EXPECT_THAT(DaemonLog(), HasSubstr(absl::StrCat("/", name, ".so")));
    EXPECT_CODE(RunPod(PodConfig("bad"), name), kInvalidArgument);
  }
  RunOne("true");
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(BadStartTest, ADefaultHandlerWithoutItsPluginEndsTheStart) {
  ASSERT_OK(WriteFileAtomic(place_->plugins() + "/executor_oci.so", "no plugin", 0755, Durability::kVolatile));
  ExpectRefusesToStart("executor_oci.so");
}

TEST_F(BadStartTest, TwoDaemonsDoNotShareAStore) {
  ASSERT_OK(StartDaemon());
  DaemonProcess first = std::move(daemon_);
  ExpectRefusesToStart(place_->root());
  // The first is not disturbed.
  EXPECT_OK(CriClient(place_->socket()).Version(cri::VersionRequest(), absl::Seconds(10)));
  daemon_ = std::move(first);
}

}  // namespace
}  // namespace berth
