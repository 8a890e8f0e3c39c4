#include "core/image/images.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "absl/strings/match.h"
#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/image/testing/images_fixture.h"
#include "core/oci/digest.h"

namespace berth {
namespace {

constexpr char kApp[] = "docker.io/library/app:latest";

// A gate that fetches of layers wait at.
class Gate {
 public:
  absl::Status Wait(const Call& call) {
    ++waiting;
    while (!open) {
      pollfd cancel{call.cancel_fd, POLLIN, 0};
      if (poll(&cancel, 1, 5) > 0) return absl::CancelledError("cancelled");
    }
    return absl::OkStatus();
  }
  void AwaitWaiting(int n) {
    while (waiting < n) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::atomic<int> waiting{0};
  std::atomic<bool> open{false};
};

class ImagesTest : public ImagesFixture {};

TEST_F(ImagesTest, PullListStatusRemove) {
  const std::string id = content_.AddImage(kApp, {Tar("a"), Tar("b"), Tar("c")}, "1000:5");
  const auto pulled = Pull("app");
  ASSERT_TRUE(pulled.ok()) << pulled.status();
  EXPECT_EQ(*pulled, id);
  ExpectClean(3);

  const std::string digest = "docker.io/library/app@" + content_.LastManifest().digest;
  const std::string hex = id.substr(7);
  for (const std::string& name : {std::string("app"), std::string("app:latest"), std::string(kApp), digest, id, hex,
                                  hex.substr(0, 13), id.substr(0, 20)}) {
    const ImagePtr image = images_->Status(name);
    ASSERT_NE(image, nullptr) << name;
    EXPECT_EQ(image->id, id);
  }
  const ImagePtr image = images_->Status("app");
  EXPECT_EQ(image->repo_tags, std::vector<std::string>{kApp});
  EXPECT_EQ(image->repo_digests, std::vector<std::string>{digest});
  EXPECT_EQ(image->user, "1000:5");
  EXPECT_GT(image->size, 100u);
  EXPECT_EQ(images_->Status("other"), nullptr);
  EXPECT_EQ(images_->Status("Not A Reference"), nullptr);
  EXPECT_EQ(images_->Status("ffff"), nullptr);
  EXPECT_EQ(images_->List().size(), 1u);
  EXPECT_EQ(images_->List("app").size(), 1u);
  EXPECT_EQ(images_->List("other").size(), 0u);

  const auto keys = images_->ChainKeys(id, "fake");
  ASSERT_TRUE(keys.ok());
  ASSERT_EQ(keys->size(), 3u);
  EXPECT_EQ(*ReadFile(snapshotter_->Tree((*keys)[0]) + "/c"), "contents of c");
  EXPECT_EQ(*ReadFile(snapshotter_->Tree((*keys)[2]) + "/a"), "contents of a");
  EXPECT_EQ(snapshotter_->Parents((*keys)[0]), (std::vector<std::string>{(*keys)[1], (*keys)[2]}));
  EXPECT_EQ(images_->FsInfo()[0].bytes, 3000u);
  EXPECT_EQ(images_->FsInfo()[0].inodes, 30u);

  EXPECT_TRUE(images_->Remove(Call(), "app").ok());
  EXPECT_TRUE(images_->Remove(Call(), "app").ok());
  EXPECT_EQ(images_->Status(id), nullptr);
  EXPECT_EQ(images_->List().size(), 0u);
  EXPECT_EQ(images_->FsInfo()[0].bytes, 0u);
  ExpectClean(0);
}

TEST_F(ImagesTest, SnapshottersThatNeedParentsGetThemInOrder) {
  Stop();
  parent_at_commit_ = false;
  Start();
  content_.AddImage(kApp, {Tar("a"), Tar("b"), Tar("c")});
  const auto pulled = Pull("app");
  ASSERT_TRUE(pulled.ok()) << pulled.status();
  ExpectClean(3);
}

TEST_F(ImagesTest, RecordsSurviveARestart) {
  const std::string id = content_.AddImage(kApp, {Tar("a"), Tar("b")}, "www");
  ASSERT_TRUE(Pull("app").ok());
  const auto keys = images_->ChainKeys(id, "fake");
  Stop();
  Start();
  ASSERT_NE(images_->Status("app"), nullptr);
  EXPECT_EQ(images_->Status("app")->user, "www");
  EXPECT_EQ(*images_->ChainKeys(id, "fake"), *keys);
  ExpectClean(2);
}

TEST_F(ImagesTest, EveryCompression) {
  for (const auto& [name, compress] : std::vector<std::pair<std::string, FakeContent::Compress>>{
           {"zstd", ZstdForTest}, {"plain", [](const std::string& tar) { return tar; }}}) {
    content_.AddImage("docker.io/library/" + name + ":latest", {Tar("in-" + name)}, "", compress);
    const auto pulled = Pull(name);
    EXPECT_TRUE(pulled.ok()) << pulled.status();
  }
  ExpectClean(2);
}

TEST_F(ImagesTest, LayersAreSharedAndGoWithTheirLastImage) {
  content_.AddImage(kApp, {Tar("base"), Tar("a")});
  const std::string base = content_.LayerDigest(0);
  content_.AddImage("docker.io/library/two:latest", {Tar("base"), Tar("b")});
  ASSERT_TRUE(Pull("app").ok());
  ASSERT_TRUE(Pull("two").ok());
  EXPECT_EQ(content_.fetches[base], 1);
  ExpectClean(3);
  ASSERT_TRUE(Pull("app").ok());  // nothing to do
  EXPECT_EQ(content_.fetches[base], 1);
  EXPECT_TRUE(images_->Remove(Call(), "app").ok());
  ExpectClean(2);
  EXPECT_TRUE(images_->Remove(Call(), "two").ok());
  ExpectClean(0);
}

TEST_F(ImagesTest, ATagMovesAndTheOldImageKeepsItsDigest) {
  const std::string old_id = content_.AddImage(kApp, {Tar("old")});
  ASSERT_TRUE(Pull("app").ok());
  const std::string new_id = content_.AddImage(kApp, {Tar("new")});
  ASSERT_TRUE(Pull("app").ok());
  EXPECT_EQ(images_->Status("app")->id, new_id);
  ASSERT_NE(images_->Status(old_id), nullptr);
  EXPECT_TRUE(images_->Status(old_id)->repo_tags.empty());
  EXPECT_EQ(images_->Status(old_id)->repo_digests.size(), 1u);
  Stop();
  Start();
  EXPECT_EQ(images_->Status("app")->id, new_id);
  EXPECT_TRUE(images_->Status(old_id)->repo_tags.empty());
}

TEST_F(ImagesTest, PullByDigestAddsNoTagAndRemoveTakesAllNames) {
  const std::string id = content_.AddImage(kApp, {Tar("a")});
  const std::string digest = content_.LastManifest().digest;
  content_.AddReference("h.io/x/y:1", content_.LastManifest());
  ASSERT_TRUE(Pull("app@" + digest).ok());
  EXPECT_TRUE(images_->Status(id)->repo_tags.empty());
  EXPECT_EQ(images_->Status(id)->repo_digests.size(), 1u);
  ASSERT_TRUE(Pull("h.io/x/y:1").ok());
  EXPECT_EQ(images_->Status(id)->repo_tags.size(), 1u);
  EXPECT_EQ(images_->Status(id)->repo_digests.size(), 2u);
  EXPECT_TRUE(images_->Remove(Call(), "h.io/x/y:1").ok());
  EXPECT_EQ(images_->Status("app@" + digest), nullptr);
  EXPECT_EQ(images_->List().size(), 0u);
  ExpectClean(0);
}

TEST_F(ImagesTest, PinnedReferences) {
  content_.AddImage("docker.io/library/pause:1", {Tar("p")});
  content_.AddImage(kApp, {Tar("a")});
  ASSERT_TRUE(Pull("pause:1").ok());
  ASSERT_TRUE(Pull("app").ok());
  EXPECT_TRUE(images_->Status("pause:1")->pinned);
  EXPECT_FALSE(images_->Status("app")->pinned);
}

TEST_F(ImagesTest, IndexesLeadToThisPlatform) {
  const std::string id = content_.AddImage("x.io/plain:1", {Tar("a")});
  const ContentDescriptor manifest = content_.LastManifest();
  const oci::Platform host = oci::HostPlatform();
  const std::string index = absl::StrCat(
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[)",
      R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:)", std::string(64, '1'),
      R"(","size":10,"platform":{"os":"plan9","architecture":"mips"}},)",
      R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")", manifest.digest, R"(","size":)",
      manifest.size, R"(,"platform":{"os":"linux","architecture":")", host.architecture, R"("}}]})");
  const ContentDescriptor target = content_.AddBlob("application/vnd.oci.image.index.v1+json", index);
  content_.AddReference(kApp, target);
  const auto pulled = Pull("app");
  ASSERT_TRUE(pulled.ok()) << pulled.status();
  EXPECT_EQ(*pulled, id);
  EXPECT_EQ(images_->Status("app")->repo_digests[0], "docker.io/library/app@" + target.digest);
  EXPECT_EQ(images_->Status("app")->manifest_digest, manifest.digest);
}

TEST_F(ImagesTest, EqualPullsShareOneAndDifferentCredentialsDoNot) {
  content_.AddImage(kApp, {Tar("a")});
  Gate gate;
  std::atomic<int> resolves{0};
  const std::string layer = content_.LayerDigest(0);
  content_.before_resolve = [&](const RegistryRequest& request) {
    ++resolves;
    return request.credentials.username == "mallory" ? absl::PermissionDeniedError("no") : absl::OkStatus();
  };
  content_.before_piece = [&](const Call& call, const std::string& digest, uint64_t) {
    return digest == layer ? gate.Wait(call) : absl::OkStatus();
  };
  std::vector<std::thread> threads;
  threads.reserve(5);
  std::atomic<int> good{0};
  for (int i = 0; i < 5; ++i) threads.emplace_back([&] { good += Pull("app").ok(); });
  gate.AwaitWaiting(1);
  ImagePullRequest request;
  request.reference = "app";
  request.snapshotters = {"fake"};
  request.credentials.username = "mallory";
  EXPECT_TRUE(absl::IsPermissionDenied(images_->Pull(Call(), request).status()));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  gate.open = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 5);
  EXPECT_EQ(resolves, 2);
  EXPECT_EQ(content_.fetches[layer], 1);
  ExpectClean(1);
}

TEST_F(ImagesTest, ALayerTwoPullsNeedIsUnpackedOnceAndTakenOverWhenTheFirstGivesUp) {
  content_.AddImage(kApp, {Tar("base"), Tar("a")});
  const std::string base = content_.LayerDigest(0);
  content_.AddImage("docker.io/library/two:latest", {Tar("base"), Tar("b")});
  Gate gate;
  content_.before_piece = [&](const Call& call, const std::string& digest, uint64_t) {
    return digest == base ? gate.Wait(call) : absl::OkStatus();
  };
  const UniqueFd cancel(eventfd(0, EFD_CLOEXEC));
  Call call;
  call.cancel_fd = cancel.get();
  absl::Status first, second;
  std::thread a([&] { first = Pull("app", call).status(); });
  gate.AwaitWaiting(1);
  std::thread b([&] { second = Pull("two").status(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(gate.waiting, 1);
  ASSERT_EQ(eventfd_write(cancel.get(), 1), 0);
  a.join();
  EXPECT_TRUE(absl::IsCancelled(first)) << first;
  gate.AwaitWaiting(2);
  gate.open = true;
  b.join();
  EXPECT_TRUE(second.ok()) << second;
  EXPECT_EQ(images_->Status("app"), nullptr);
  ExpectClean(2);
}

TEST_F(ImagesTest, ACancelledPullLeavesNothing) {
  content_.AddImage(kApp, {Tar("a"), Tar("b")});
  const std::string second = content_.LayerDigest(1);
  Gate gate;
  content_.before_piece = [&](const Call& call, const std::string& digest, uint64_t) {
    return digest == second ? gate.Wait(call) : absl::OkStatus();
  };
  const UniqueFd cancel(eventfd(0, EFD_CLOEXEC));
  Call call;
  call.cancel_fd = cancel.get();
  absl::Status status;
  std::thread thread([&] { status = Pull("app", call).status(); });
  gate.AwaitWaiting(1);
  ASSERT_EQ(eventfd_write(cancel.get(), 1), 0);
  thread.join();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  ExpectClean(0);
  gate.open = true;
  EXPECT_TRUE(Pull("app").ok());
}

TEST_F(ImagesTest, OneOfTwoCallersMayGiveUp) {
  content_.AddImage(kApp, {Tar("a")});
  const std::string layer = content_.LayerDigest(0);
  Gate gate;
  content_.before_piece = [&](const Call& call, const std::string& digest, uint64_t) {
    return digest == layer ? gate.Wait(call) : absl::OkStatus();
  };
  Call hurried;
  hurried.deadline_ns = MonotonicNanos() + 100'000'000;
  absl::Status first, second;
  std::thread a([&] { first = Pull("app").status(); });
  gate.AwaitWaiting(1);
  std::thread b([&] { second = Pull("app", hurried).status(); });
  b.join();
  EXPECT_TRUE(absl::IsDeadlineExceeded(second)) << second;
  gate.open = true;
  a.join();
  EXPECT_TRUE(first.ok()) << first;
}

TEST_F(ImagesTest, ContainersKeepTheLayersOfRemovedImages) {
  const std::string id = content_.AddImage(kApp, {Tar("a"), Tar("b")});
  ASSERT_TRUE(Pull("app").ok());
  const auto pinned = images_->Pin("c1", "app");
  ASSERT_TRUE(pinned.ok());
  EXPECT_EQ((*pinned)->id, id);
  EXPECT_TRUE(absl::IsNotFound(images_->Pin("c2", "other").status()));
  ASSERT_TRUE(images_->Remove(Call(), "app").ok());
  EXPECT_EQ(images_->Status(id), nullptr);
  EXPECT_EQ(images_->List().size(), 0u);
  EXPECT_EQ(images_->ChainKeys(id, "fake")->size(), 2u);
  ExpectClean(2);

  // Across a restart the containers pin again, by id.
  Stop();
  pins_ = {{"c1", id}};
  Start();
  EXPECT_EQ(images_->List().size(), 0u);
  EXPECT_EQ(images_->ChainKeys(id, "fake")->size(), 2u);
  // Pulled again, it is back with the same layers.
  ASSERT_TRUE(Pull("app").ok());
  EXPECT_NE(images_->Status("app"), nullptr);
  ASSERT_TRUE(images_->Remove(Call(), id).ok());
  images_->Unpin("c1");
  images_->Unpin("c1");
  EXPECT_TRUE(absl::IsNotFound(images_->ChainKeys(id, "fake").status()));
  ExpectClean(0);
}

TEST_F(ImagesTest, RecoverDropsRemovedImagesThatNobodyPins) {
  const std::string id = content_.AddImage(kApp, {Tar("a")});
  ASSERT_TRUE(Pull("app").ok());
  ASSERT_TRUE(images_->Pin("c1", "app").ok());
  ASSERT_TRUE(images_->Remove(Call(), "app").ok());
  Stop();
  Start();
  EXPECT_TRUE(absl::IsNotFound(images_->ChainKeys(id, "fake").status()));
  ExpectClean(0);
}

TEST_F(ImagesTest, RecoverSweepsWhatNoRecordOwns) {
  content_.AddImage(kApp, {Tar("a"), Tar("b")});
  ASSERT_TRUE(Pull("app").ok());
  SnapshotRequest request;
  for (const char* key : {"777", "778", "container1"}) {
    request.key = key;
    ASSERT_TRUE(snapshotter_->Prepare(Call(), request).ok());
  }
  ASSERT_TRUE(snapshotter_->Commit(Call(), "777", {}).ok());
  ASSERT_TRUE(snapshotter_->Commit(Call(), "778", {"777"}).ok());
  Stop();
  Start({"container1"});
  ExpectClean(3);
  EXPECT_NE(images_->Status("app"), nullptr);
}

TEST_F(ImagesTest, AnImageWhoseFilesAreGoneIsForgotten) {
  const std::string id = content_.AddImage(kApp, {Tar("a"), Tar("b")});
  content_.AddImage("docker.io/library/two:latest", {Tar("a"), Tar("c")});
  ASSERT_TRUE(Pull("app").ok());
  ASSERT_TRUE(Pull("two").ok());
  const std::string top_key = images_->ChainKeys(id, "fake")->front();
  ASSERT_TRUE(snapshotter_->Remove(Call(), top_key).ok());
  Stop();
  Start();
  EXPECT_EQ(images_->Status("app"), nullptr);
  EXPECT_NE(images_->Status("two"), nullptr);
  ASSERT_TRUE(Pull("app").ok());
  ExpectClean(3);
}

TEST_F(ImagesTest, FailuresAtEveryStepLeaveNothing) {
  content_.AddImage(kApp, {Tar("a"), Tar("b")});
  for (const std::string point : {"image.pull.worker", "image.pull.intent", "image.pull.prepared", "image.pull.commit",
                                  "image.pull.record", "image.layer.unpacked"}) {
    ASSERT_TRUE(SetFailpoints(point + "=1*return(EIO)").ok());
    EXPECT_FALSE(Pull("app").ok()) << point;
    ASSERT_TRUE(SetFailpoints("").ok());
    EXPECT_EQ(images_->List().size(), 0u);
    SCOPED_TRACE(point);
    ExpectClean(0);
  }
  ASSERT_TRUE(Pull("app").ok());
  ASSERT_TRUE(SetFailpoints("image.remove.record=1*return(EIO)").ok());
  EXPECT_FALSE(images_->Remove(Call(), "app").ok());
  ASSERT_NE(images_->Status("app"), nullptr);
  ASSERT_TRUE(SetFailpoints("image.remove.snapshot=1*return(EIO)").ok());
  EXPECT_TRUE(images_->Remove(Call(), "app").ok());
  ASSERT_TRUE(SetFailpoints("").ok());
  Stop();
  Start();
  ExpectClean(0);
}

// Dies by SIGKILL at `point` in a process of its own while it does `work`.
void CrashAt(const std::string& point, const std::function<void()>& work) {
  const pid_t pid = fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    if (!SetFailpoints(point + "=crash").ok()) _exit(3);
    work();
    _exit(4);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << point << " " << status;
}

TEST_F(ImagesTest, ADaemonKilledAtAnyStepLeavesNothingBehind) {
#if defined(BERTH_TSAN)
  GTEST_SKIP() << "thread sanitizer allows no threads after a fork";
#endif
  content_.AddImage("docker.io/library/other:latest", {Tar("a"), Tar("x")});
  content_.AddImage(kApp, {Tar("a"), Tar("b")});
  ASSERT_TRUE(Pull("other").ok());
  for (const char* point : {"image.pull.worker", "image.pull.intent", "image.pull.prepared", "image.pull.commit",
                            "image.pull.record", "image.layer.unpacked"}) {
    SCOPED_TRACE(point);
    Stop();
    CrashAt(point, [&] {
      Start();
      (void)Pull("app");
    });
    Start();
    EXPECT_EQ(images_->List().size(), 1u);
    ExpectClean(2);
  }
  ASSERT_TRUE(Pull("app").ok());
  for (const char* point : {"image.remove.record", "image.remove.snapshot"}) {
    SCOPED_TRACE(point);
    Stop();
    CrashAt(point, [&] {
      Start();
      (void)images_->Remove(Call(), "app");
    });
    Start();
    // Before the record is gone it is whole; after that nothing of it is left.
    const bool removed = std::string(point) == "image.remove.snapshot";
    EXPECT_EQ(images_->Status("app") == nullptr, removed);
    ExpectClean(removed ? 2 : 3);
  }
}

TEST_F(ImagesTest, RegistryErrorsReachTheCaller) {
  EXPECT_TRUE(absl::IsNotFound(Pull("nothing").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Pull("Not A Reference").status()));
  content_.before_resolve = [](const RegistryRequest&) { return absl::UnavailableError("connection refused"); };
  const absl::Status status = Pull("app").status();
  EXPECT_TRUE(absl::IsUnknown(status)) << status;
  EXPECT_TRUE(absl::StartsWith(status.message(), "RegistryUnavailable: pull docker.io/library/app:latest: ")) << status;
  content_.before_resolve = [](const RegistryRequest&) { return absl::PermissionDeniedError("password wrong"); };
  EXPECT_TRUE(absl::IsPermissionDenied(Pull("app").status()));
  ExpectClean(0);
}

TEST_F(ImagesTest, ABrokenConnectionIsTakenUpAgain) {
  const std::string big = TarBuilder().File("big", std::string(500'000, 'b')).Build();
  content_.AddImage(kApp, {big}, "", [](const std::string& tar) { return tar; });
  const std::string layer = content_.LayerDigest(0);
  std::atomic<int> breaks{0};
  content_.before_piece = [&](const Call&, const std::string& digest, uint64_t offset) {
    return digest == layer && offset > 100'000 && breaks++ == 0 ? absl::UnavailableError("reset") : absl::OkStatus();
  };
  const auto pulled = Pull("app");
  EXPECT_TRUE(pulled.ok()) << pulled.status();
  EXPECT_EQ(content_.fetches[layer], 2);
}

TEST_F(ImagesTest, WrongContentIsRefused) {
  struct Case {
    const char* why;
    std::function<void()> damage;
  };
  const std::string tar = Tar("a");
  const auto layer = [&] { return content_.LayerDigest(0); };
  const std::vector<Case> cases = {
      {"digest", [&] { content_.Replace(layer(), GzipForTest(Tar("b"))); }},
      {"more than", [&] { content_.Replace(layer(), content_.blobs[layer()] + "more"); }},
      {"truncated", [&] { content_.Replace(layer(), content_.blobs[layer()].substr(0, 60)); }},
      {"neither", [&] { content_.Replace(layer(), std::string(content_.blobs[layer()].size(), '\1')); }},
      {"manifest", [&] { content_.Replace(content_.LastManifest().digest, "{}"); }},
  };
  for (const Case& c : cases) {
    content_.blobs.clear();
    content_.AddImage(kApp, {tar});
    c.damage();
    const absl::Status status = Pull("app").status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << c.why << ": " << status;
    EXPECT_TRUE(absl::StrContains(status.message(), c.why)) << status;
    ExpectClean(0);
  }
  content_.blobs.erase(layer());
  EXPECT_FALSE(Pull("app").ok());
  ExpectClean(0);
}

TEST_F(ImagesTest, AWrongDiffIdIsRefused) {
  content_.AddImage(kApp, {Tar("a")}, "", [this](const std::string&) { return GzipForTest(Tar("other")); });
  const absl::Status status = Pull("app").status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "diff_id")) << status;
  ExpectClean(0);
}

TEST_F(ImagesTest, ADigestReferenceMustGetThatDigest) {
  content_.AddImage(kApp, {Tar("a")});
  const std::string reference = "docker.io/library/app@sha256:" + std::string(64, '7');
  content_.references[reference] = content_.LastManifest();
  const absl::Status status = Pull(reference).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
}

TEST_F(ImagesTest, HostileLayersLeaveNothing) {
  content_.AddImage(kApp, {Tar("ok"), TarBuilder().Dir("d").File("../escape", "x").Build()});
  EXPECT_TRUE(absl::IsInvalidArgument(Pull("app").status()));
  EXPECT_FALSE(ReadFile(top_ + "/snapshots/escape").ok());
  ExpectClean(0);
  Stop();
  max_layer_bytes_ = 1 << 20;
  Start();
  content_.AddImage(kApp, {TarBuilder().File("bomb", std::string(4 << 20, '\0')).Build()});
  EXPECT_TRUE(absl::IsResourceExhausted(Pull("app").status()));
  ExpectClean(0);
}

TEST_F(ImagesTest, AStalledRegistryIsGivenUp) {
  Stop();
  progress_timeout_ns_ = 300'000'000;
  Start();
  content_.AddImage(kApp, {Tar("a")});
  Gate gate;
  content_.before_piece = [&](const Call& call, const std::string&, uint64_t) { return gate.Wait(call); };
  const absl::Status status = Pull("app").status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  ExpectClean(0);
}

TEST_F(ImagesTest, EmbeddedManifestsWithoutADigest) {
  const std::string id = content_.AddImage(kApp, {Tar("a")});
  ContentDescriptor embedded = content_.LastManifest();
  const std::string digest = embedded.digest;
  embedded.data = content_.blobs[digest];
  embedded.digest.clear();
  content_.references[kApp] = embedded;
  const auto pulled = Pull("app");
  ASSERT_TRUE(pulled.ok()) << pulled.status();
  EXPECT_EQ(*pulled, id);
  EXPECT_EQ(images_->Status("app")->repo_digests[0], "docker.io/library/app@" + digest);
}

}  // namespace
}  // namespace berth
