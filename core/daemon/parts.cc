#include "core/daemon/parts.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/descriptor_limit.h"
#include "core/base/failpoint.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/cri/environment.h"
#include "core/cri/event_stream.h"
#include "core/supervisor/embedded.h"

namespace berth {
namespace {

// Clients wait no longer than this for supervisors: a thousand that are well need a fraction of it.
constexpr int64_t kReattachNanos = 500'000'000;
// A client that wants events asks for them soon; most kubelets never do, and what is kept for them is memory.
constexpr int64_t kBacklogNanos = 120'000'000'000;
constexpr size_t kImageThreads = 16;  // pulls and removals at a time; more of them wait

Call StartCall() {
  Call call;
  call.deadline_ns = MonotonicNanos() + 600'000'000'000;
  return call;
}

}  // namespace

absl::Status DaemonParts::Prepare() {
  descriptor_limit = RaiseDescriptorLimit();
  RETURN_IF_ERROR(Failpoint("daemon.start.root"));
  RETURN_IF_ERROR(MakeDirs(config.root, 0700, Durability::kDurable));
  for (const char* part : {"", "/pods", "/bundles", "/ns"}) {
    RETURN_IF_ERROR(Failpoint("daemon.start.state"));
    RETURN_IF_ERROR(MakeDirs(config.state + part, 0711));
  }
  ASSIGN_OR_RETURN(boot_id, BootId());
  ASSIGN_OR_RETURN(cgroups, CgroupTree::Detect());
  RETURN_IF_ERROR(ReadSelinux());
  HostServices services;
  services.root = config.root;
  services.state = config.state;
  services.bus = &bus;
  services.metrics = &metrics;
  services.supervisor = &supervisor_service;
  plugins = std::make_unique<Plugins>(config.plugins.directories, services);
  ASSIGN_OR_RETURN(set, MakePlugins(config, plugins.get()));
  networks = std::make_unique<PodNetworks>(set.hooks, config.network.timeout_seconds);
  ASSIGN_OR_RETURN(loop, SupervisorLoop::Start());
  return absl::OkStatus();
}

absl::Status DaemonParts::ReadSelinux() {
  if (!config.pod.enable_selinux) {
    if (oci::SelinuxIsOn()) LogWarn("SELinux is on, and containers are not labelled: [pod] enable_selinux is false");
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(selinux, oci::ReadSelinuxContexts());
  if (!selinux) LogWarn("[pod] enable_selinux is true, and SELinux is off on this node: nothing is labelled");
  return absl::OkStatus();
}

absl::Status DaemonParts::OpenStore() {
  ASSIGN_OR_RETURN(store, Store::Open(config.root + "/meta.db"));
  ASSIGN_OR_RETURN(IdSource source, IdSource::FromKeyFile(config.root + "/id.key"));
  ids = std::make_unique<IdSource>(std::move(source));
  RETURN_IF_ERROR(Failpoint("daemon.start.supervisor"));
  ASSIGN_OR_RETURN(std::string program, InstallSupervisor(config.root + "/libexec"));
  starter = std::make_unique<SupervisorStarter>(std::move(program));
  return absl::OkStatus();
}

absl::Status DaemonParts::MakeRuntime() {
  pool = std::make_unique<ThreadPool>(config.daemon.worker_threads);
  exec_pool = std::make_unique<ThreadPool>(config.daemon.exec_threads);
  image_pool = std::make_unique<ThreadPool>(kImageThreads);
  timers = std::make_unique<TimerQueue>();

  ImagesOptions options;
  for (const auto& [name, snapshotter] : set.snapshotters) options.snapshotters[name] = snapshotter.get();
  options.store = store.get();
  options.root = config.root;
  options.state = config.state;
  options.bus = &bus;
  options.launch_worker = LaunchWorkerProcess({"/proc/self/exe", "pull-worker"});
  options.plugin_directories = config.plugins.directories;
  options.registries = RegistryInstances(config);
  options.platform = HostPlatform();
  options.boot_id = boot_id;
  options.max_layer_bytes = static_cast<uint64_t>(config.image.max_layer_bytes);
  options.max_parallel_layers = static_cast<uint32_t>(config.image.max_parallel_layers);
  options.timeout_ns = config.image.pull_timeout_seconds * 1'000'000'000;
  ASSIGN_OR_RETURN(images, Images::Open(std::move(options)));

  PodEnvironment pod_environment{&config,
                                 ids.get(),
                                 store.get(),
                                 pool.get(),
                                 loop.get(),
                                 starter.get(),
                                 &cgroups,
                                 networks.get(),
                                 &set.handlers,
                                 boot_id,
                                 descriptor_limit,
                                 selinux.has_value(),
                                 [this](const auto& pod, EventType type) { events->PodChanged(pod, type); }};
  pods = std::make_unique<Pods>(std::move(pod_environment));
  ContainerEnvironment container_environment{
      &config,
      ids.get(),
      store.get(),
      pool.get(),
      exec_pool.get(),
      timers.get(),
      &cgroups,
      images.get(),
      pods.get(),
      selinux ? &*selinux : nullptr,
      [this](const auto& container, EventType type) { events->ContainerChanged(container, type); }};
  containers = std::make_unique<Containers>(std::move(container_environment));
  pods->SetMembers(containers.get());
  supervisor_service.Set(pods.get());
  events = std::make_unique<PodEvents>(&bus, images.get());
  events->SetContainers(containers.get());
  return absl::OkStatus();
}

// Records first, so that an exit that a supervisor tells again finds its container; then the living; then what nobody
// owns.
absl::Status DaemonParts::Recover(size_t events_kept, BacklogFor events_for) {
  for (const std::string& directory : {config.root, config.root + "/libexec"}) {
    RETURN_IF_ERROR(Failpoint("daemon.recover.temporaries"));
    RemoveAbandonedTemporaries(directory);
  }
  RETURN_IF_ERROR(pods->Load());
  RETURN_IF_ERROR(containers->Load());
  RETURN_IF_ERROR(Failpoint("daemon.recover.reattach"));
  bus.KeepBacklog(kContainerEventTopics, events_kept, events_for);
  pods->Reattach(MonotonicNanos() + kReattachNanos);
  RETURN_IF_ERROR(Failpoint("daemon.recover.resume"));
  pods->Resume();
  RETURN_IF_ERROR(images->Recover(StartCall(), containers->SnapshotKeys()));
  pool->Add([this] {
    pods->Sweep();
    containers->Sweep();
  });
  return Failpoint("daemon.recover.done");
}

absl::Status DaemonParts::MakeServer(int listener, bool kept) {
  relay = std::make_unique<Relay>(config.grpc.socket);
  CriEnvironment environment;
  environment.config = &config;
  environment.version = version;
  environment.pods = pods.get();
  environment.containers = containers.get();
  environment.images = images.get();
  environment.networks = networks.get();
  environment.handlers = &set.handlers;
  environment.bus = &bus;
  environment.pool = pool.get();
  environment.image_pool = image_pool.get();
  environment.calls = &calls;
  environment.budget = &budget;
  environment.gate = &gate;
  environment.relay = relay.get();
  runtime_service = std::make_unique<CriRuntimeService>(environment);
  image_service = std::make_unique<CriImageService>(environment);
  CriServerOptions options;
  options.socket = config.grpc.socket;
  options.max_message_bytes = config.grpc.max_message_bytes;
  options.services = {runtime_service.get(), image_service.get()};
  options.calls = &calls;
  options.listener = listener;
  options.keep_socket = kept;
  options.paused = true;
  options.connection_age_seconds = config.grpc.connection_age_seconds;
  ASSIGN_OR_RETURN(server, CriServer::Start(options));
  if (config.pod.spare_supervisor) starter->KeepSpare();
  timers->At(MonotonicNanos() + kBacklogNanos, [this] { bus.DropBacklog(); });
  return absl::OkStatus();
}

}  // namespace berth
