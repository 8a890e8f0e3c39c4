// The services over real pods, containers and images whose records the tests write: what needs no supervisor.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/id.h"
#include "core/base/timer.h"
#include "core/cri/client/cri_client.h"
#include "core/cri/image_service.h"
#include "core/cri/pod_events.h"
#include "core/cri/runtime_service.h"
#include "core/cri/server.h"
#include "core/store/store.h"

namespace berth {
namespace {

using nlohmann::json;

const std::string kPod(64, 'a'), kStopped("ab" + std::string(62, '0')), kContainer(64, 'c'),
    kOther("cd" + std::string(62, '0'));
const std::string kImage = "sha256:" + std::string(64, '1');

class FakeSnapshotter : public Snapshotter {
 public:
  uint64_t capabilities() const override { return 0; }
  std::string root() const override { return "/fake/root"; }
  absl::StatusOr<PreparedSnapshot> Prepare(const Call&, const SnapshotRequest&) override { return No(); }
  absl::StatusOr<std::vector<RootfsMount>> Mounts(const Call&, const SnapshotRequest&) override { return No(); }
  absl::Status Commit(const Call&, const std::string&, const std::vector<std::string>&) override { return No(); }
  absl::Status Remove(const Call&, const std::string&) override { return absl::OkStatus(); }
  absl::StatusOr<SnapshotInfo> Stat(const Call&, const std::string&) override { return No(); }
  absl::StatusOr<SnapshotUsage> Usage(const Call&, const std::string&) override { return No(); }
  absl::Status Walk(const Call&, const std::function<void(const SnapshotInfo&)>&) override { return absl::OkStatus(); }
  absl::Status Cleanup(const Call&) override { return absl::OkStatus(); }

 private:
  static absl::Status No() { return absl::UnimplementedError("fake"); }
};

class FakeExecutor : public OciExecutor {
 public:
  uint64_t capabilities() const override { return kSupervised; }
  absl::StatusOr<ExecutorFeatures> Features(const Call&) override {
    ExecutorFeatures features;
    features.name = "fake";
    features.version = "1.2";
    features.recursive_read_only = true;
    features.json = "{\"ociVersionMax\": \"1.0.2\"}";
    return features;
  }
  absl::StatusOr<pid_t> Create(const Call&, const ContainerRequest&, OnExit) override { return No(); }
  absl::Status Start(const Call&, const ContainerRequest&) override { return No(); }
  absl::Status Kill(const Call&, const ContainerRequest&, int, bool) override { return absl::OkStatus(); }
  absl::Status Delete(const Call&, const ContainerRequest&) override { return absl::OkStatus(); }
  absl::StatusOr<pid_t> Exec(const Call&, const ExecRequest&, OnExit) override { return No(); }
  absl::Status Update(const Call&, const ContainerRequest&, const std::string&) override { return No(); }
  absl::Status Pause(const Call&, const ContainerRequest&) override { return No(); }
  absl::Status Resume(const Call&, const ContainerRequest&) override { return No(); }
  absl::StatusOr<ExecutorContainer> State(const Call&, const ContainerRequest&) override { return No(); }
  absl::Status Reattach(const Call&, const ContainerRequest&, OnExit) override { return No(); }

 private:
  static absl::Status No() { return absl::UnimplementedError("fake"); }
};

class FakeHook : public NetworkHook {
 public:
  absl::StatusOr<NetworkResult> Setup(const Call&, const PodNetwork&) override { return NetworkResult(); }
  absl::Status Teardown(const Call&, const PodNetwork&) override { return absl::OkStatus(); }
  absl::Status Check(const Call&, const PodNetwork&) override { return absl::OkStatus(); }
  absl::StatusOr<NetworkStatus> Status(const Call&) override {
    return NetworkStatus{false, "", "no config in /etc/cni/net.d"};
  }
  absl::Status Gc(const Call&, const std::vector<std::string>&) override { return absl::OkStatus(); }
};

class ServicesTest : public testing::Test {
 protected:
  void SetUp() override {
    char directory[] = "/tmp/cri_services_test.XXXXXX";
    ASSERT_NE(mkdtemp(directory), nullptr);
    directory_ = directory;
    config_.root = directory_ + "/root";
    config_.state = directory_ + "/state";
    config_.grpc.socket = directory_ + "/cri.sock";
    ASSERT_TRUE(MakeDirs(config_.root).ok());
    ASSERT_TRUE(MakeDirs(config_.state + "/bundles/" + kContainer).ok());
    ASSERT_TRUE(WriteFileAtomic(config_.state + "/bundles/" + kContainer + "/config.json",
                                "{\"ociVersion\": \"1.0.2\"}", 0600, Durability::kVolatile)
                    .ok());
    store_ = *Store::Open(config_.root + "/meta.db");
    WriteRows();
    Start();
  }

  void TearDown() override {
    client_.reset();
    server_.reset();
    image_pool_.reset();
    exec_pool_.reset();
    pool_.reset();
    EXPECT_EQ(calls_.size(), 0u);
    EXPECT_TRUE(RemoveTree(directory_).ok());
  }

  void PutPod(const std::string& id, const std::string& name, state::v1::Pod::State state) {
    cri::PodSandboxConfig config;
    config.mutable_metadata()->set_name(name);
    config.mutable_metadata()->set_uid("uid");
    (*config.mutable_labels())["app"] = name;
    state::v1::Pod pod;
    pod.set_id(id);
    pod.set_state(state);
    pod.set_config(config.SerializeAsString());
    pod.set_runtime_handler("crun");
    pod.set_created_at(42);
    pod.set_boot_id("this boot");
    pod.set_netns_path("/run/netns/berth-" + id);
    pod.set_network_torn_down(state != state::v1::Pod::READY);
    pod.add_ips("10.0.0.9");
    pod.set_supervisor_pid(4711);
    ASSERT_TRUE(store_->Commit(Transaction().Put(Table::kPods, id, pod), Durability::kVolatile).ok());
  }

  void PutContainer(const std::string& id, const std::string& pod, const std::string& name,
                    state::v1::Container::State state) {
    cri::ContainerConfig config;
    config.mutable_metadata()->set_name(name);
    config.mutable_image()->set_image(kImage);
    (*config.mutable_labels())["name"] = name;
    state::v1::Container container;
    container.set_id(id);
    container.set_pod_id(pod);
    container.set_state(state);
    container.set_config(config.SerializeAsString());
    container.set_image_id(kImage);
    container.set_image_ref("docker.io/library/web@sha256:" + std::string(64, '2'));
    container.set_snapshotter("fake");
    container.set_snapshot_key("7");
    container.set_created_at(43);
    ASSERT_TRUE(store_->Commit(Transaction().Put(Table::kContainers, id, container), Durability::kVolatile).ok());
  }

  void WriteRows() {
    PutPod(kPod, "web", state::v1::Pod::READY);
    PutPod(kStopped, "old", state::v1::Pod::NOT_READY);
    PutContainer(kContainer, kPod, "nginx", state::v1::Container::RUNNING);
    PutContainer(kOther, kPod, "sidecar", state::v1::Container::EXITED);
    state::v1::Image image;
    image.set_id(kImage);
    image.add_tags("docker.io/library/web:1");
    image.add_digests("docker.io/library/web@sha256:" + std::string(64, '2'));
    image.set_config("{\"config\": {\"User\": \"1000:1000\"}}");
    image.set_manifest("{\"schemaVersion\": 2}");
    image.set_size(1234);
    image.set_snapshotter("fake");
    ASSERT_TRUE(store_->Commit(Transaction().Put(Table::kImages, kImage, image), Durability::kVolatile).ok());
  }

  void Start() {
    handlers_.default_name = "crun";
    handlers_.by_name["crun"] = Handler{"crun", &executor_, "fake", &snapshotter_};
    pool_ = std::make_unique<ThreadPool>(4);
    exec_pool_ = std::make_unique<ThreadPool>(4);
    image_pool_ = std::make_unique<ThreadPool>(4);
    ImagesOptions options;
    options.snapshotters["fake"] = &snapshotter_;
    options.store = store_.get();
    // A worker that never says anything.
    options.launch_worker = LaunchWorkerThread([](UniqueFd fd) {
      char buffer[4096];
      while (read(fd.get(), buffer, sizeof(buffer)) > 0) continue;
    });
    images_ = *Images::Open(std::move(options));
    events_ = std::make_unique<PodEvents>(&bus_, images_.get());
    pods_ = std::make_unique<Pods>(PodEnvironment{
        .config = &config_,
        .ids = &ids_,
        .store = store_.get(),
        .pool = pool_.get(),
        .networks = &networks_,
        .handlers = &handlers_,
        .boot_id = "this boot",
        .changed = [this](const auto& pod, EventType t) { events_->PodChanged(pod, t); },
    });
    containers_ = std::make_unique<Containers>(ContainerEnvironment{
        .config = &config_,
        .ids = &ids_,
        .store = store_.get(),
        .pool = pool_.get(),
        .exec_pool = exec_pool_.get(),
        .timers = &timers_,
        .cgroups = &cgroups_,
        .images = images_.get(),
        .pods = pods_.get(),
        .changed = [this](const auto& container, EventType t) { events_->ContainerChanged(container, t); },
    });
    pods_->SetMembers(containers_.get());
    events_->SetContainers(containers_.get());
    ASSERT_EQ(pods_->Load(), absl::OkStatus());
    ASSERT_EQ(containers_->Load(), absl::OkStatus());

    CriEnvironment environment;
    environment.config = &config_;
    environment.version = "9.9";
    environment.pods = pods_.get();
    environment.containers = containers_.get();
    environment.images = images_.get();
    environment.networks = &networks_;
    environment.handlers = &handlers_;
    environment.bus = &bus_;
    environment.pool = pool_.get();
    environment.image_pool = image_pool_.get();
    environment.calls = &calls_;
    environment.budget = &budget_;
    environment.gate = &gate_;
    environment.relay = &relay_;
    runtime_service_ = std::make_unique<CriRuntimeService>(environment);
    image_service_ = std::make_unique<CriImageService>(environment);
    CriServerOptions server;
    server.socket = config_.grpc.socket;
    server.services = {runtime_service_.get(), image_service_.get()};
    server.calls = &calls_;
    server_ = *CriServer::Start(server);
    client_ = std::make_unique<CriClient>(config_.grpc.socket);
  }

  std::string directory_;
  Config config_;
  IdSource ids_{"key"};
  FakeSnapshotter snapshotter_;
  FakeExecutor executor_;
  FakeHook hook_;
  PodNetworks networks_{{{"fake", &hook_}}, 10};
  Handlers handlers_;
  EventBus bus_;
  TimerQueue timers_;
  CgroupTree cgroups_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Images> images_;
  std::unique_ptr<PodEvents> events_;
  std::unique_ptr<Pods> pods_;
  std::unique_ptr<Containers> containers_;
  // More than a client that asks one thing after the other can have in its way: a request is returned after its answer.
  static constexpr int kBudget = 200, kBudgetBytes = 8 << 20;
  RequestBudget budget_{kBudget, kBudgetBytes};
  CallGate gate_;
  Relay relay_{"/nowhere"};
  std::unique_ptr<ThreadPool> pool_, exec_pool_, image_pool_;
  OpenCalls calls_;
  std::unique_ptr<CriRuntimeService> runtime_service_;
  std::unique_ptr<CriImageService> image_service_;
  std::unique_ptr<CriServer> server_;
  std::unique_ptr<CriClient> client_;
};

TEST_F(ServicesTest, VersionIsWhatTheKubeletChecks) {
  const auto version = client_->Version({});
  ASSERT_TRUE(version.ok());
  EXPECT_EQ(version->version(), "0.1.0");
  EXPECT_EQ(version->runtime_name(), "berth");
  EXPECT_EQ(version->runtime_version(), "9.9");
  EXPECT_EQ(version->runtime_api_version(), "v1");
  EXPECT_EQ(client_->RuntimeConfig({})->linux().cgroup_driver(), cri::CGROUPFS);
}

TEST_F(ServicesTest, StatusTellsConditionsAndHandlers) {
  cri::StatusRequest request;
  request.set_verbose(true);
  const auto status = client_->Status(request);
  ASSERT_TRUE(status.ok()) << status.status();
  ASSERT_EQ(status->status().conditions_size(), 2);
  EXPECT_EQ(status->status().conditions(0).type(), "RuntimeReady");
  EXPECT_TRUE(status->status().conditions(0).status());
  EXPECT_EQ(status->status().conditions(1).type(), "NetworkReady");
  EXPECT_FALSE(status->status().conditions(1).status());
  EXPECT_EQ(status->status().conditions(1).reason(), "NetworkPluginNotReady");
  EXPECT_NE(status->status().conditions(1).message().find("/etc/cni/net.d"), std::string::npos);
  ASSERT_EQ(status->runtime_handlers_size(), 2);
  EXPECT_EQ(status->runtime_handlers(0).name(), "");
  EXPECT_EQ(status->runtime_handlers(1).name(), "crun");
  for (const cri::RuntimeHandler& handler : status->runtime_handlers()) {
    EXPECT_TRUE(handler.features().recursive_read_only_mounts()) << handler.name();
  }
  EXPECT_TRUE(status->features().supplemental_groups_policy());
  EXPECT_TRUE(status->features().mount_options());
  EXPECT_EQ(json::parse(status->info().at("config"))["root"], config_.root);
  EXPECT_EQ(json::parse(status->info().at("runtimeHandlers"))["crun"]["version"], "1.2");
  EXPECT_TRUE(client_->Status({})->info().empty());
}

TEST_F(ServicesTest, PodsAreListedAndShown) {
  EXPECT_EQ(client_->ListPodSandbox({})->items_size(), 2);
  cri::ListPodSandboxRequest list;
  list.mutable_filter()->mutable_state()->set_state(cri::SANDBOX_NOTREADY);
  ASSERT_EQ(client_->ListPodSandbox(list)->items_size(), 1);
  EXPECT_EQ(client_->ListPodSandbox(list)->items(0).id(), kStopped);
  list.mutable_filter()->set_id("x");
  EXPECT_EQ(client_->ListPodSandbox(list)->items_size(), 0);
  int streamed = 0;
  EXPECT_EQ(client_->StreamPodSandboxes({}, [&](const auto& part) { streamed += part.pod_sandboxes_size(); }),
            absl::OkStatus());
  EXPECT_EQ(streamed, 2);

  cri::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id("aa");
  request.set_verbose(true);
  const int64_t before = UnixNanos();
  const auto status = client_->PodSandboxStatus(request);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->status().id(), kPod);
  EXPECT_EQ(status->status().network().ip(), "10.0.0.9");
  EXPECT_GE(status->timestamp(), before);
  ASSERT_EQ(status->containers_statuses_size(), 2);
  EXPECT_EQ(status->containers_statuses(0).image().image(), "docker.io/library/web:1");
  const json info = json::parse(status->info().at("info"));
  EXPECT_EQ(info["pid"], 4711);
  EXPECT_EQ(info["netNSPath"], "/run/netns/berth-" + kPod);
  EXPECT_EQ(info["config"]["metadata"]["name"], "web");
}

TEST_F(ServicesTest, WhatIsUnknown) {
  for (const std::string& id : {std::string("f"), std::string("a")}) {  // "a" begins two ids
    cri::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(id);
    EXPECT_EQ(client_->PodSandboxStatus(request).status().code(), absl::StatusCode::kNotFound);
  }
  for (const bool verbose : {false, true}) {
    cri::ContainerStatusRequest request;
    request.set_verbose(verbose);
    request.set_container_id("f");
    EXPECT_EQ(client_->ContainerStatus(request).status().code(), absl::StatusCode::kNotFound);
    request.set_container_id("");
    EXPECT_EQ(client_->ContainerStatus(request).status().code(), absl::StatusCode::kInvalidArgument);
    request.set_container_id(std::string(100'000, 'c'));
    EXPECT_EQ(client_->ContainerStatus(request).status().code(), absl::StatusCode::kInvalidArgument);
  }
  cri::StopPodSandboxRequest stop_pod;
  stop_pod.set_pod_sandbox_id("f");
  EXPECT_TRUE(client_->StopPodSandbox(stop_pod).ok());
  cri::RemovePodSandboxRequest remove_pod;
  remove_pod.set_pod_sandbox_id("f");
  EXPECT_TRUE(client_->RemovePodSandbox(remove_pod).ok());
  cri::StopContainerRequest stop;
  stop.set_container_id("f");
  EXPECT_TRUE(client_->StopContainer(stop).ok());
  cri::RemoveContainerRequest remove;
  remove.set_container_id("f");
  EXPECT_TRUE(client_->RemoveContainer(remove).ok());
  cri::StartContainerRequest start;
  start.set_container_id("f");
  EXPECT_EQ(client_->StartContainer(start).status().code(), absl::StatusCode::kNotFound);
  cri::ReopenContainerLogRequest reopen;
  reopen.set_container_id("f");
  EXPECT_EQ(client_->ReopenContainerLog(reopen).status().code(), absl::StatusCode::kNotFound);
  reopen.set_container_id("cd");  // has no supervisor: it ended
  EXPECT_EQ(client_->ReopenContainerLog(reopen).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ServicesTest, EmptyRequestsAreRefusedNotFatal) {
  EXPECT_EQ(client_->RunPodSandbox({}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(client_->CreateContainer({}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(client_->ExecSync({}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(client_->PullImage({}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(client_->ImageStatus({}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(client_->RemoveImage({}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(client_->Exec({}).status().code(), absl::StatusCode::kUnimplemented);
  cri::RunPodSandboxRequest run;
  run.mutable_config()->mutable_metadata()->set_name("x");
  run.set_runtime_handler("kata");
  EXPECT_EQ(client_->RunPodSandbox(run).status().code(), absl::StatusCode::kInvalidArgument);
  cri::ExecSyncRequest exec;
  exec.set_container_id(kOther);
  exec.add_cmd("true");
  EXPECT_FALSE(client_->ExecSync(exec).ok());
  exec.set_timeout(-1);
  EXPECT_EQ(client_->ExecSync(exec).status().code(), absl::StatusCode::kInvalidArgument);
}

// The executor of these tests cannot update anything.
TEST_F(ServicesTest, RequestsBeyondTheBudgetAreRefusedAndLaterOnesServed) {
  for (int i = 0; i < kBudget; ++i) ASSERT_TRUE(budget_.Take(1));
  const auto refused = client_->Version({});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(refused.status().message().find("too many calls are open"), std::string::npos) << refused.status();
  cri::ImageStatusRequest large;
  large.mutable_image()->set_image(std::string(kBudgetBytes, 'x'));
  for (int i = 1; i < kBudget; ++i) budget_.Return(1);
  EXPECT_EQ(client_->ImageStatus(large).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(client_->Version({}).ok());
  budget_.Return(1);
  // Calls give their share back; the last of them may do so after its answer arrived.
  const int64_t deadline = MonotonicNanos() + 20'000'000'000;
  while (budget_.held() > 0 && MonotonicNanos() < deadline) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_EQ(budget_.held(), 0u);
  EXPECT_EQ(client_->ImageStatus(large).status().code(), absl::StatusCode::kInvalidArgument) << "the name is too long";
}

TEST_F(ServicesTest, AnUpdateThatFailsIsUndone) {
  const std::string spec = config_.state + "/bundles/" + kContainer + "/config.json";
  const std::string before = R"({"linux":{"resources":{}},"process":{}})";
  ASSERT_TRUE(WriteFileAtomic(spec, before, 0600, Durability::kVolatile).ok());
  cri::UpdateContainerResourcesRequest request;
  request.set_container_id(kContainer);
  EXPECT_TRUE(client_->UpdateContainerResources(request).ok());
  request.mutable_linux()->set_cpu_shares(100);
  const absl::Status failed = client_->UpdateContainerResources(request).status();
  EXPECT_EQ(failed.code(), absl::StatusCode::kUnimplemented) << failed;
  EXPECT_EQ(ReadFile(spec).value_or(""), before);
  cri::ContainerStatusRequest status;
  status.set_container_id(kContainer);
  EXPECT_EQ(client_->ContainerStatus(status)->status().resources().linux().cpu_shares(), 0);
  request.mutable_linux()->set_cpu_shares(-1);
  EXPECT_EQ(client_->UpdateContainerResources(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.set_container_id(kOther);  // it has ended
  request.mutable_linux()->set_cpu_shares(100);
  EXPECT_EQ(client_->UpdateContainerResources(request).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ServicesTest, ContainersAreListedAndShown) {
  EXPECT_EQ(client_->ListContainers({})->containers_size(), 2);
  cri::ListContainersRequest list;
  (*list.mutable_filter()->mutable_label_selector())["name"] = "sidecar";
  ASSERT_EQ(client_->ListContainers(list)->containers_size(), 1);
  EXPECT_EQ(client_->ListContainers(list)->containers(0).id(), kOther);
  int streamed = 0;
  EXPECT_EQ(client_->StreamContainers({}, [&](const auto& part) { streamed += part.containers_size(); }),
            absl::OkStatus());
  EXPECT_EQ(streamed, 2);

  cri::ContainerStatusRequest request;
  request.set_container_id("cc");
  request.set_verbose(true);
  const auto status = client_->ContainerStatus(request);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->status().state(), cri::CONTAINER_RUNNING);
  EXPECT_EQ(status->status().image_id(), kImage);
  const json info = json::parse(status->info().at("info"));
  EXPECT_EQ(info["sandboxID"], kPod);
  EXPECT_EQ(info["snapshotKey"], "7");
  EXPECT_EQ(info["runtimeSpec"]["ociVersion"], "1.0.2");
  EXPECT_EQ(info["config"]["image"]["image"], kImage);

  request.set_container_id(kOther);  // its bundle is gone
  EXPECT_FALSE(json::parse(client_->ContainerStatus(request)->info().at("info")).contains("runtimeSpec"));
}

TEST_F(ServicesTest, ImagesAreListedShownAndRemoved) {
  ASSERT_EQ(client_->ListImages({})->images_size(), 1);
  const cri::Image listed = client_->ListImages({})->images(0);
  EXPECT_EQ(listed.id(), kImage);
  EXPECT_EQ(listed.repo_tags(0), "docker.io/library/web:1");
  EXPECT_EQ(listed.uid().value(), 1000);
  EXPECT_EQ(listed.size(), 1234u);
  cri::ListImagesRequest list;
  list.mutable_filter()->mutable_image()->set_image("other");
  EXPECT_EQ(client_->ListImages(list)->images_size(), 0);
  list.mutable_filter()->mutable_image()->set_image("web:1");
  EXPECT_EQ(client_->ListImages(list)->images_size(), 1);
  int streamed = 0;
  EXPECT_EQ(client_->StreamImages({}, [&](const auto& part) { streamed += part.images_size(); }), absl::OkStatus());
  EXPECT_EQ(streamed, 1);

  cri::ImageStatusRequest request;
  request.set_verbose(true);
  request.mutable_image()->set_image("missing:1");
  EXPECT_FALSE(client_->ImageStatus(request)->has_image());
  request.mutable_image()->set_image("web:1");
  const auto status = client_->ImageStatus(request);
  EXPECT_EQ(status->image().id(), kImage);
  EXPECT_EQ(json::parse(status->info().at("info"))["imageSpec"]["config"]["User"], "1000:1000");

  const auto fs = client_->ImageFsInfo({});
  ASSERT_EQ(fs->image_filesystems_size(), 1);
  EXPECT_EQ(fs->image_filesystems(0).fs_id().mountpoint(), "/fake/root");
  EXPECT_GT(fs->image_filesystems(0).timestamp(), 0);

  cri::RemoveImageRequest remove;
  remove.mutable_image()->set_image("web:1");
  EXPECT_TRUE(client_->RemoveImage(remove).ok());
  EXPECT_TRUE(client_->RemoveImage(remove).ok());
  EXPECT_EQ(client_->ListImages({})->images_size(), 0);
}

TEST_F(ServicesTest, ACancelledPullIsGivenUp) {
  cri::PullImageRequest request;
  request.mutable_image()->set_image("busybox");
  EXPECT_EQ(client_->PullImage(request, absl::Milliseconds(200)).status().code(), absl::StatusCode::kDeadlineExceeded);
  const int64_t deadline = MonotonicNanos() + 10'000'000'000;
  while (calls_.size() > 0 && MonotonicNanos() < deadline) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(calls_.size(), 0u) << "the pull went on";
}

TEST_F(ServicesTest, AStopOfTheDaemonGivesPullsUp) {
  absl::Status answer;
  std::thread puller([&] {
    cri::PullImageRequest request;
    request.mutable_image()->set_image("busybox");
    answer = CriClient(config_.grpc.socket).PullImage(request).status();
  });
  while (calls_.size() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  server_->Drain(MonotonicNanos() + 100'000'000);
  puller.join();
  EXPECT_EQ(answer.code(), absl::StatusCode::kUnavailable);
}

TEST_F(ServicesTest, EventsCarryThePodAndItsContainers) {
  auto stream = client_->GetContainerEvents();
  const auto container = containers_->Find(kContainer);
  ASSERT_TRUE(container.ok());
  events_->ContainerChanged(*container, EventType::kStarted);
  events_->PodChanged((*container)->pod(), EventType::kDeleted);
  const auto first = stream->Next();
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->container_id(), kContainer);
  EXPECT_EQ(first->container_event_type(), cri::CONTAINER_STARTED_EVENT);
  EXPECT_EQ(first->pod_sandbox_status().id(), kPod);
  EXPECT_EQ(first->containers_statuses_size(), 2);
  const auto second = stream->Next();
  EXPECT_EQ(second->container_id(), kPod);
  EXPECT_EQ(second->container_event_type(), cri::CONTAINER_DELETED_EVENT);
  EXPECT_TRUE(second->has_pod_sandbox_status());
  EXPECT_GE(second->created_at(), first->created_at());
}

}  // namespace
}  // namespace berth
