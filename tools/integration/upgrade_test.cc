// The daemon is replaced while it serves: no call fails, whatever is under way, and whatever becomes of the successor.
#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/file.h"
#include "tools/image/oci_layout.h"
#include "tools/integration/isolation.h"
#include "tools/integration/upgrade_fixture.h"

namespace berth {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kSecondImage[] = "example.org/test/second:1";

// Clients that never stop asking: each on a connection that it keeps, and now and then on a new one.
class Callers {
 public:
  Callers(const std::string& socket, const std::string& container, int count) {
    for (int i = 0; i < count; ++i) threads_.emplace_back([this, socket, container, i] { Run(socket, container, i); });
  }
  ~Callers() { Stop(); }
  void Stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  int calls() const { return calls_; }
  std::vector<std::string> failures() {
    std::lock_guard lock(mutex_);
    return failures_;
  }

 private:
  void Expect(const char* what, const absl::Status& status) {
    ++calls_;
    if (status.ok()) return;
    std::lock_guard lock(mutex_);
    failures_.push_back(absl::StrCat(what, ": ", status.ToString()));
  }
  void Run(const std::string& socket, const std::string& container, int number) {
    CriClient kept(socket);
    cri::ExecSyncRequest exec;
    exec.set_container_id(container);
    exec.add_cmd("/bin/true");
    exec.set_timeout(60);
    for (int round = 0; !stop_; ++round) {
      Expect("version", kept.Version({}).status());
      const auto listed = kept.ListContainers({});
      Expect("list",
             listed.ok() && listed->containers().empty() ? absl::NotFoundError("it lists nothing") : listed.status());
      Expect("stream", kept.StreamContainers({}, [](const auto&) {}));
      Expect("images", kept.ListImages({}).status());
      if (round % 8 == number) Expect("exec", kept.ExecSync(exec).status());
      if (round % 16 == number) Expect("a new connection", CriClient(socket).Version({}).status());
    }
  }

  std::atomic<bool> stop_{false};
  std::atomic<int> calls_{0};
  std::mutex mutex_;
  std::vector<std::string> failures_;
  std::vector<std::thread> threads_;
};

class UpgradeTest : public UpgradeFixture {
 protected:
  // A whole life, on a client of its own.
  absl::Status Live(const std::string& name) {
    CriClient own(place_->socket());
    const cri::PodSandboxConfig config = PodConfig(name);
    cri::RunPodSandboxRequest run;
    *run.mutable_config() = config;
    const auto pod = own.RunPodSandbox(run);
    if (!pod.ok()) return pod.status();
    cri::CreateContainerRequest create;
    create.set_pod_sandbox_id(pod->pod_sandbox_id());
    *create.mutable_sandbox_config() = config;
    *create.mutable_config() = ShellConfig("main", "exit 3");
    const auto container = own.CreateContainer(create);
    if (!container.ok()) return container.status();
    cri::StartContainerRequest start;
    start.set_container_id(container->container_id());
    if (const auto started = own.StartContainer(start); !started.ok()) return started.status();
    cri::RemovePodSandboxRequest remove;
    remove.set_pod_sandbox_id(pod->pod_sandbox_id());
    return own.RemovePodSandbox(remove).status();
  }
};

TEST_F(UpgradeTest, NoCallFailsOverManyUpgrades) {
  RunOne("sleep 1000");
  const int upgrades = OnTheLabsMachine() ? 2 : 6;
  Callers callers(place_->socket(), container_, 4);
  std::atomic<bool> stop{false};
  std::atomic<int> lives{0};
  std::vector<std::thread> living;
  for (const char* name : {"a", "b"}) {
    living.emplace_back([&, name] {
      for (int i = 0; !stop; ++i) {
        EXPECT_OK(Live(absl::StrCat(name, i)));
        ++lives;
      }
    });
  }
  for (int i = 0; i < upgrades; ++i) {
    const pid_t before = daemon_.pid();
    EXPECT_OK(Upgrade());
    EXPECT_NE(daemon_.pid(), before);
    absl::SleepFor(absl::Milliseconds(500));
  }
  stop = true;
  for (std::thread& thread : living) thread.join();
  callers.Stop();
  std::printf("upgrade: %d upgrades, %d calls and %d lives of pods beside them\n", upgrades, callers.calls(),
              lives.load());
  EXPECT_THAT(callers.failures(), IsEmpty());
  EXPECT_GT(callers.calls(), 100);
  EXPECT_GT(lives, 1);
  ExpectRetired();
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(UpgradeTest, CallsThatLastGoOn) {
  RunOne("trap '' TERM; while true; do sleep 0.1; done");
  ASSERT_OK(WaitFor(container_, cri::CONTAINER_RUNNING));
  absl::StatusOr<cri::ExecSyncResponse> executed = absl::UnknownError("none");
  absl::Status stopped = absl::UnknownError("none");
  std::thread exec([&] {
    CriClient own(place_->socket());
    cri::ExecSyncRequest request;
    request.set_container_id(container_);
    for (const char* word : {"/bin/sh", "-c", "echo begun; sleep 6; echo ended; exit 5"}) request.add_cmd(word);
    executed = own.ExecSync(request);
  });
  absl::SleepFor(absl::Seconds(1));
  std::thread stop([&] {
    CriClient own(place_->socket());
    cri::StopContainerRequest request;
    request.set_container_id(container_);
    request.set_timeout(12);
    stopped = own.StopContainer(request).status();
  });
  absl::SleepFor(absl::Seconds(1));
  EXPECT_OK(Upgrade());
  EXPECT_OK(Upgrade());
  EXPECT_EQ(Status(container_)->state(), cri::CONTAINER_RUNNING);
  exec.join();
  ASSERT_OK(executed);
  EXPECT_EQ(executed->exit_code(), 5);
  EXPECT_EQ(executed->stdout(), "begun\nended\n");
  stop.join();
  EXPECT_OK(stopped);
  EXPECT_EQ(Status(container_)->exit_code(), 137);
  ExpectRetired();
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(UpgradeTest, APullThatLastsIsPulledByTheSuccessor) {
  ImageSettings settings;
  settings.reference = kSecondImage;
  const auto tar = MakeTar({{LayerEntry::Type::kFile, "file", std::string(100'000, 'x'), 0644}});
  ASSERT_OK(tar);
  ASSERT_OK(AddImage(place_->images() + "/second", settings, {*tar}));
  NoteWhatExists();
  KillDaemon();
  ASSERT_OK(StartDaemon({"BERTH_FAILPOINTS=image.pull.prepared=1*sleep(4000)"}));
  absl::StatusOr<std::string> pulled = absl::UnknownError("none");
  std::thread pull([&] {
    CriClient own(place_->socket());
    cri::PullImageRequest request;
    request.mutable_image()->set_image(kSecondImage);
    const auto response = own.PullImage(request);
    pulled = response.ok() ? absl::StatusOr<std::string>(response->image_ref()) : response.status();
  });
  absl::SleepFor(absl::Seconds(1));
  EXPECT_OK(Upgrade());
  pull.join();
  ASSERT_OK(pulled);
  cri::ImageStatusRequest status;
  status.mutable_image()->set_image(kSecondImage);
  EXPECT_EQ(client().ImageStatus(status)->image().id(), *pulled);
  cri::RemoveImageRequest remove;
  remove.mutable_image()->set_image(kSecondImage);
  EXPECT_OK(client().RemoveImage(remove));
  ExpectRetired();
}

// What one client of GetContainerEvents sees that asks again whenever its stream ends: every event, some more than
// once.
TEST_F(UpgradeTest, NoEventIsMissed) {
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::map<std::string, std::set<cri::ContainerEventType>> seen;
  CriClient listening(place_->socket());
  auto stream = listening.GetContainerEvents();
  std::thread listener([&] {
    while (!stop) {
      const auto event = stream->Next();
      if (event.ok()) {
        std::lock_guard lock(mutex);
        seen[event->container_id()].insert(event->container_event_type());
      } else if (!stop) {
        auto next = listening.GetContainerEvents();
        std::lock_guard lock(mutex);
        stream = std::move(next);
      }
    }
  });
  std::atomic<bool> enough{false};
  int lives = 0;
  std::thread living([&] {
    while (!enough) {
      EXPECT_OK(Live(absl::StrCat("life", lives)));
      ++lives;
    }
  });
  for (int i = 0; i < 3; ++i) {
    EXPECT_OK(Upgrade());
    absl::SleepFor(absl::Seconds(OnTheLabsMachine() ? 20 : 5));
  }
  enough = true;
  living.join();
  const std::set<cri::ContainerEventType> all = {cri::CONTAINER_CREATED_EVENT, cri::CONTAINER_STARTED_EVENT,
                                                 cri::CONTAINER_STOPPED_EVENT, cri::CONTAINER_DELETED_EVENT};
  const auto whole = [&] {
    std::lock_guard lock(mutex);
    size_t count = 0;
    for (const auto& [id, types] : seen) count += types == all ? 1 : 0;
    return count;
  };
  // Of each life a pod and a container.
  const size_t expected = 2 * static_cast<size_t>(lives);
  for (const absl::Time end = absl::Now() + absl::Seconds(30); whole() < expected && absl::Now() < end;) {
    absl::SleepFor(absl::Milliseconds(50));
  }
  EXPECT_EQ(whole(), expected);
  EXPECT_EQ(seen.size(), expected);
  stop = true;
  {
    std::lock_guard lock(mutex);
    stream->Cancel();
  }
  listener.join();
  ExpectRetired();
}

TEST_F(UpgradeTest, ASuccessorThatCannotStartChangesNothing) {
  RunOne("sleep 1000");
  Callers callers(place_->socket(), container_, 2);
  const std::string before = Serving();
  EXPECT_NE(before, "");
  EXPECT_THAT(std::string(Upgrade("/bin/false").message()), HasSubstr("exit status 1"));
  EXPECT_THAT(std::string(Upgrade("/nowhere/berth").message()), HasSubstr("No such file"));
  EXPECT_THAT(std::string(Upgrade(place_->config()).message()), HasSubstr("Permission denied"));
  EXPECT_THAT(std::string(Upgrade(BinaryWith("crashing", "BERTH_FAILPOINTS=take_over.prepared=crash")).message()),
              HasSubstr("signal 9"));
  const std::string config = *ReadFile(place_->config());
  ASSERT_OK(WriteFileAtomic(place_->config(), "nonsense = 1\n" + config, 0644, Durability::kVolatile));
  EXPECT_THAT(std::string(Upgrade().message()), HasSubstr("nonsense"));
  const std::string elsewhere = TheWorld().directory + "/elsewhere";
  ASSERT_OK(WriteFileAtomic(place_->config(),
                            absl::StrCat("root = \"", elsewhere, "\"\n", config.substr(config.find('\n'))), 0644,
                            Durability::kVolatile));
  EXPECT_THAT(std::string(Upgrade().message()), HasSubstr("another `root`"));
  ASSERT_OK(RemoveTree(elsewhere));
  ASSERT_OK(WriteFileAtomic(place_->config(), config, 0644, Durability::kVolatile));
  EXPECT_EQ(Serving(), before) << "nobody else has come to serve";
  EXPECT_OK(Upgrade()) << "and the next one may";
  callers.Stop();
  EXPECT_THAT(callers.failures(), IsEmpty());
  ExpectRetired();
  EXPECT_OK(RemovePod(pod_));
}

// Once the state is given up there is no way back: the old program takes over from itself.
TEST_F(UpgradeTest, ASuccessorThatDiesWhileItTakesOverIsFollowedByTheOldProgram) {
  RunOne("sleep 1000");
  Callers callers(place_->socket(), container_, 2);
  for (const char* point : {"take_over.begin", "daemon.recover.resume", "take_over.recovered", "take_over.accept"}) {
    SCOPED_TRACE(point);
    const std::string before = Serving();
    const absl::Status upgraded = Upgrade(BinaryWith("dying", absl::StrCat("BERTH_FAILPOINTS=", point, "=crash")));
    EXPECT_THAT(std::string(upgraded.message()), HasSubstr("could not take over"));
    EXPECT_THAT(std::string(upgraded.message()), HasSubstr("signal 9"));
    ASSERT_TRUE(AdoptServing());
    EXPECT_NE(Serving(), before);
  }
  const absl::Status refused = Upgrade(BinaryWith("failing", "BERTH_FAILPOINTS='daemon.start.supervisor=return(EIO)'"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("Input/output error"));
  ASSERT_TRUE(AdoptServing());
  EXPECT_EQ(Status(container_)->state(), cri::CONTAINER_RUNNING);
  callers.Stop();
  EXPECT_THAT(callers.failures(), IsEmpty());
  ExpectRetired();
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(UpgradeTest, AnOldDaemonThatIsKilledOnTheWayLeavesNothing) {
  RunOne("sleep 1000");
  for (const char* point : {"hand_over.spawn", "hand_over.prepared", "hand_over.closed", "hand_over.moving",
                            "hand_over.rested", "hand_over.given_up", "hand_over.recovered", "hand_over.served"}) {
    SCOPED_TRACE(point);
    KillDaemon();
    ASSERT_OK(StartDaemon({absl::StrCat("BERTH_FAILPOINTS=", point, "=crash")}));
    EXPECT_FALSE(Upgrade().ok());
    ASSERT_OK(daemon_.WaitForEnd(absl::Seconds(30)));
    if (std::string(point) == "hand_over.served") {
      ASSERT_TRUE(AdoptServing()) << "the successor serves by now";
      client_ = std::make_unique<CriClient>(place_->socket());  // the connection has died with the old daemon
    } else {
      ASSERT_TRUE(StartAsAManagerDoes());  // its successor goes by itself
    }
    const auto status = Status(container_);
    ASSERT_OK(status);
    EXPECT_EQ(status->state(), cri::CONTAINER_RUNNING);
    EXPECT_OK(Live("after"));
  }
  EXPECT_OK(RemovePod(pod_));
  ExpectRetired();
}

TEST_F(UpgradeTest, AHangUpSignalUpgrades) {
  const std::string before = Serving();
  kill(daemon_.pid(), SIGHUP);
  for (const absl::Time end = absl::Now() + absl::Seconds(30); absl::Now() < end;) {
    if (const std::string now = Serving(); now != before && !now.empty()) break;
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_NE(Serving(), before);
  ASSERT_TRUE(AdoptServing());
  ExpectRetired();
}

}  // namespace
}  // namespace berth
