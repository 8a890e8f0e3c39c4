// CreateContainer: snapshot, rootfs, bundle, executor; all or nothing.
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/container/bundle.h"
#include "core/container/container_config.h"
#include "core/container/containers.h"
#include "core/container/label_files.h"
#include "core/oci/apparmor.h"
#include "core/oci/user_namespace.h"
#include "core/pod/cgroup_names.h"
#include "core/pod/pod_config.h"

namespace berth {
namespace {

std::string ParentOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

void Containers::Create(const std::string& pod_id, const runtime::v1::ContainerConfig& config, DoneWithId done) {
  if (absl::Status bad = CheckContainerConfig(config); !bad.ok()) return done(bad);
  auto pod = env_.pods->Find(pod_id);
  if (!pod.ok()) return done(pod.status());
  ContainerView view;
  view.record.set_id(env_.ids->New());
  view.record.set_pod_id((*pod)->id());
  view.record.set_created_at(UnixNanos());
  view.record.set_config(config.SerializeAsString());
  view.config = std::make_shared<const runtime::v1::ContainerConfig>(config);

  auto made = std::make_shared<Container>(*pod, std::move(view));
  const auto [container, fresh] = table_.Insert(made->id(), ContainerNameKey((*pod)->id(), config.metadata()), made);
  if (container->Join(done)) {
    if (fresh) (*pod)->queue().Add([this, container = container] { CreateOnQueue(container); });
    return;
  }
  done(absl::AlreadyExistsError(absl::StrCat("create container ", config.metadata().name(), " attempt ",
                                             config.metadata().attempt(), " in pod sandbox ", (*pod)->id(),
                                             ": it exists already as ", container->id(), "; remove it first")));
}

void Containers::CreateOnQueue(const std::shared_ptr<Container>& container) {
  absl::Status status = Make(container);
  if (!status.ok()) {
    LogWarn("create container", {{"container", container->id()}, {"error", status.message()}});
    Undo(container);
  }
  const std::vector<DoneWithId> waiting = container->EndCreate();
  if (status.ok()) {
    LogInfo("container is created", {{"container", container->id()}, {"pod", container->pod()->id()}});
    env_.changed(container, EventType::kCreated);
  }
  for (const DoneWithId& done : waiting) {
    done(status.ok() ? absl::StatusOr<std::string>(container->id()) : absl::StatusOr<std::string>(status));
  }
}

absl::Status Containers::Make(const std::shared_ptr<Container>& container) {
  const std::shared_ptr<const ContainerView> view = container->view();
  const std::shared_ptr<const PodView> pod = container->pod()->view();
  const Handler* handler = container->pod()->handler();
  const std::shared_ptr<Supervisor> supervisor = container->pod()->supervisor();
  if (pod->record.state() != state::v1::Pod::READY || supervisor == nullptr || handler == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("create a container in pod sandbox ", pod->record.id(), ": the pod is not ready"));
  }
  RETURN_IF_ERROR(CheckAgainstPod(*pod->config, *view->config));
  state::v1::Container record = view->record;
  ASSIGN_OR_RETURN(const ImagePtr image, env_.images->Pin(record.id(), view->config->image().image()));
  ASSIGN_OR_RETURN(const uint64_t number, env_.store->NextNumber());
  ASSIGN_OR_RETURN(const std::string log_path, LogPathOf(*pod->config, *view->config));
  record.set_image_id(image->id);
  record.set_image_ref(image->repo_digests.empty() ? image->id : image->repo_digests.front());
  record.set_snapshotter(handler->snapshotter_name);
  record.set_snapshot_key(absl::StrCat(number));
  record.set_log_path(log_path);
  const CgroupDriver driver = env_.config->runtime.cgroup_driver;
  ASSIGN_OR_RETURN(const std::string cgroups_path, CgroupsPath(driver, pod->record.cgroup_parent(), record.id()));
  record.set_cgroup_path(ContainerCgroup(driver, pod->record.cgroup_parent(), record.id()));
  record.set_pod_oom_kills(env_.cgroups->OomKills(pod->record.cgroup_parent()));
  record.set_resources(view->config->linux().resources().SerializeAsString());
  RETURN_IF_ERROR(Save(container, record));  // the intent: everything below is named by it

  RETURN_IF_ERROR(Failpoint("container.snapshot.prepare"));
  SnapshotRequest snapshot;
  snapshot.key = record.snapshot_key();
  snapshot.kind = SnapshotKind::kContainer;
  ASSIGN_OR_RETURN(const std::optional<oci::IdMaps> ids,
                   oci::IdMapsOf(pod->config->linux().security_context().namespace_options()));
  if (ids) {
    snapshot.uid_map = {{0, ids->uids.host, ids->uids.count}};
    snapshot.gid_map = {{0, ids->gids.host, ids->gids.count}};
  }
  ASSIGN_OR_RETURN(snapshot.parents, env_.images->ChainKeys(image->id, record.snapshotter()));
  ASSIGN_OR_RETURN(PreparedSnapshot prepared, handler->snapshotter->Prepare(ExecutorCall(), snapshot));
  const oci::SelinuxLabels labels = LabelsOf(*pod, *view->config);
  RETURN_IF_ERROR(LabelRootfs(labels.file, &prepared.mounts));

  RETURN_IF_ERROR(Failpoint("container.bundle.make"));
  ContainerPrepare prepare;
  prepare.id = record.id();
  prepare.rootfs = BundleOf(record.id()) + "/rootfs";
  RETURN_IF_ERROR(MakeDirs(prepare.rootfs, 0711));
  RETURN_IF_ERROR(Failpoint("container.log_directory.make"));
  if (!log_path.empty()) RETURN_IF_ERROR(MakeDirs(ParentOf(log_path), 0755));
  RETURN_IF_ERROR(MakeMountSources(*view->config));
  RETURN_IF_ERROR(LabelPodFiles(labels.file, PodPaths(env_.config->state, pod->record.id()), *pod->config));
  RETURN_IF_ERROR(LabelVolumes(labels.file, *view->config));
  prepare.mounts = std::move(prepared.mounts);
  prepare.stdio.log_path = log_path;
  prepare.stdio.terminal = view->config->tty();
  prepare.stdio.stdin_open = view->config->stdin();
  prepare.stdio.stdin_once = view->config->stdin_once();
  for (const runtime::v1::Mount& mount : view->config->mounts()) {
    prepare.bidirectional |= mount.propagation() == runtime::v1::MountPropagation::PROPAGATION_BIDIRECTIONAL;
  }
  ExecutorFeatures executor;
  for (const runtime::v1::Mount& mount : view->config->mounts()) {
    if (!mount.recursive_read_only()) continue;
    ASSIGN_OR_RETURN(executor, handler->executor->Features(ExecutorCall()));
    break;
  }
  ASSIGN_OR_RETURN(BundleMounts mounts, ResolveMounts(*pod, *view->config, env_.config->state, BundleOf(record.id()),
                                                      executor, &prepare.mounts));
  BundleInput input;
  input.directory = BundleOf(record.id());
  input.state = env_.config->state;
  input.pod = pod.get();
  input.config = view->config.get();
  input.cgroups_path = cgroups_path;
  input.image = image.get();
  input.supervisor = supervisor.get();
  input.mounts = std::move(mounts);
  input.cgroup = &cgroup_facts_;
  input.labels = labels;
  if (view->config->linux().security_context().namespace_options().pid() == runtime::v1::NamespaceMode::TARGET) {
    ASSIGN_OR_RETURN(input.target_pid, TargetPid(*container));
  }
  ASSIGN_OR_RETURN(const oci::AppArmorChoice apparmor, oci::AppArmorChoiceOf(view->config->linux().security_context()));
  if (apparmor.kind == oci::AppArmorKind::kDefault) RETURN_IF_ERROR(apparmor_default_.Load(ExecutorCall()));

  RETURN_IF_ERROR(Failpoint("container.rootfs.mount"));
  absl::StatusOr<std::unique_ptr<BundleDraft>> draft = absl::InternalError("the bundle was not drafted");
  ASSIGN_OR_RETURN(PreparedContainer rootfs,
                   supervisor->PrepareContainer(ExecutorCall(), prepare, [&] { draft = DraftBundle(input); }));
  RETURN_IF_ERROR(draft.status());
  RETURN_IF_ERROR(WriteBundle(input, draft->get(), rootfs.rootfs.get(), &record));
  rootfs.rootfs.reset();

  RETURN_IF_ERROR(Failpoint("container.executor.create"));
  ContainerRequest request = RequestFor(*container);
  request.console_socket = rootfs.console_socket;
  auto pid = handler->executor->Create(ExecutorCall(), request, nullptr);
  if (!pid.ok()) return Annotate(pid.status(), absl::StrCat("create container ", record.id()));
  record.set_pid(*pid);
  record.set_state(state::v1::Container::CREATED);
  RETURN_IF_ERROR(Failpoint("container.create.commit"));
  return Save(container, record);
}

oci::SelinuxLabels Containers::LabelsOf(const PodView& pod, const runtime::v1::ContainerConfig& config) const {
  // A pod without a level was made when nothing was labelled, and all of it stays so.
  if (env_.selinux == nullptr || pod.record.selinux_level().empty()) return {};
  return oci::SelinuxLabelsOf(*env_.selinux, pod.record.selinux_level(), pod.config->linux().security_context(),
                              config.linux().security_context());
}

absl::StatusOr<int32_t> Containers::TargetPid(const Container& container) const {
  const std::string& target = container.view()->config->linux().security_context().namespace_options().target_id();
  ASSIGN_OR_RETURN(const std::shared_ptr<Container> found, Find(target));
  if (found->pod() != container.pod() || found->state() != state::v1::Container::RUNNING) {
    return absl::FailedPreconditionError(
        absl::StrCat("join the PID namespace of container ", target, ": it is not running in the same pod sandbox"));
  }
  return found->view()->record.pid();
}

}  // namespace berth
