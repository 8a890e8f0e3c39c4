#include "core/pod/pods.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/base/subprocess.h"
#include "core/oci/selinux.h"
#include "core/pod/cgroup_names.h"
#include "core/pod/pod_config.h"
#include "core/pod/pod_files.h"

namespace berth {
namespace {

std::string SandboxCgroup(const state::v1::Pod& record) {
  return absl::StrCat(record.cgroup_parent(), "/", record.id());
}

}  // namespace

// Hands what the supervisors tell to the queues; lives as long as Pods.
class Pods::Events : public SupervisorEvents {
 public:
  explicit Events(Pods* pods) : pods_(pods) {}

  void OnExit(const std::string& pod_id, const SupervisedExit& exit) override {
    std::lock_guard lock(pods_->events_mutex_);
    if (pods_->frozen_ && exit.exec_id.empty()) return;
    if (auto pod = pods_->table_.Find(pod_id); pod.ok()) pods_->members_->OnExit(*pod, exit);
  }
  void OnGone(const std::string& pod_id) override { pods_->OnGone(pod_id); }
  void OnLogDrops(const std::string& pod_id, const std::string& container_id, uint64_t lines) override {
    LogWarn("log lines dropped", {{"pod", pod_id}, {"container", container_id}, {"lines", lines}});
  }

 private:
  Pods* const pods_;
};

Pods::Pods(PodEnvironment environment) : env_(std::move(environment)), events_(std::make_unique<Events>(this)) {}

// Hanging up comes first: a supervisor's events refer to the table.
Pods::~Pods() { Detach(); }

void Pods::Freeze() {
  {
    std::lock_guard lock(beat_mutex_);
    detached_ = true;
  }
  retries_.Close();
  std::lock_guard lock(events_mutex_);
  frozen_ = true;
}

void Pods::Detach() {
  bool frozen;
  {
    std::lock_guard lock(beat_mutex_);
    detached_ = true;
  }
  retries_.Close();
  {
    std::lock_guard lock(events_mutex_);
    frozen = frozen_;
  }
  for (const auto& pod : table_.All()) {
    if (pod->link() != SupervisorLink::kNone) pod->LetGo();
    if (frozen) {
      pod->queue().Drop();  // a successor's by now
    } else {
      pod->queue().Release([] {});
    }
  }
}

Call Pods::SupervisorCall() const {
  Call call;
  call.deadline_ns = MonotonicNanos() + env_.config->pod.supervisor_timeout_seconds * 1'000'000'000;
  return call;
}

absl::Status Pods::Save(const std::shared_ptr<Pod>& pod, const state::v1::Pod& record, Durability durability) {
  Transaction change;
  change.Put(Table::kPods, record.id(), record);
  RETURN_IF_ERROR(env_.store->Commit(change, durability));
  pod->set_record(record);
  return absl::OkStatus();
}

void Pods::Run(const runtime::v1::PodSandboxConfig& config, const std::string& runtime_handler, DoneWithId done) {
  if (absl::Status bad = CheckPodConfig(config); !bad.ok()) return done(bad);
  const Handler* handler = env_.handlers->Find(runtime_handler);
  if (handler == nullptr) {
    return done(absl::InvalidArgumentError(absl::StrCat("run pod sandbox: there is no runtime handler \"",
                                                        runtime_handler, "\"; add [runtime.handlers.", runtime_handler,
                                                        "] to the configuration")));
  }
  auto cgroup =
      PodCgroup(env_.config->runtime.cgroup_driver, config.linux().cgroup_parent(), env_.config->pod.cgroup_parent);
  if (!cgroup.ok()) return done(Annotate(cgroup.status(), "run pod sandbox"));
  const PodSpec spec = MakePodSpec("", config, PodPaths("", ""), 0);
  if (!spec.user_ns_path.empty() && !handler->user_namespaces()) {
    return done(absl::FailedPreconditionError(
        absl::StrCat("run pod sandbox: the runtime handler \"", handler->name, "\" with the snapshotter ",
                     handler->snapshotter_name, " has no user namespaces on this node; set hostUsers: true")));
  }
  PodView view;
  view.record.set_id(env_.ids->New());
  view.record.set_runtime_handler(runtime_handler);
  view.record.set_created_at(UnixNanos());
  view.record.set_boot_id(env_.boot_id);
  view.record.set_config(config.SerializeAsString());
  view.record.set_cgroup_parent(*std::move(cgroup));
  if (!UsesHostNetwork(config)) view.record.set_netns_path(PodPaths(env_.config->state, view.record.id()).netns);
  view.config = std::make_shared<const runtime::v1::PodSandboxConfig>(config);

  std::unique_lock level_lock(level_mutex_);
  auto level = SelinuxLevelOf(view.record.id(), config);
  if (!level.ok()) return done(Annotate(level.status(), "run pod sandbox"));
  view.record.set_selinux_level(*std::move(level));
  auto made = std::make_shared<Pod>(env_.pool, handler, std::move(view));
  const auto [pod, fresh] = table_.Insert(made->id(), PodNameKey(config.metadata()), made);
  level_lock.unlock();
  if (pod->Join(done)) {
    if (fresh) pod->queue().Add([this, pod = pod] { RunOnQueue(pod); });
    return;
  }
  done(absl::AlreadyExistsError(absl::StrCat("run pod sandbox: ", config.metadata().namespace_(), "/",
                                             config.metadata().name(), " attempt ", config.metadata().attempt(),
                                             " exists already as ", pod->id(), "; remove it first")));
}

absl::StatusOr<std::string> Pods::SelinuxLevelOf(const std::string& id,
                                                 const runtime::v1::PodSandboxConfig& config) const {
  if (!env_.selinux) return std::string();
  const std::string& asked = config.linux().security_context().selinux_options().level();
  if (!asked.empty()) return asked;
  std::set<std::string> used;
  for (const auto& pod : table_.All()) used.insert(pod->view()->record.selinux_level());
  return oci::FreeSelinuxLevel(id, used);
}

void Pods::RunOnQueue(const std::shared_ptr<Pod>& pod) {
  const std::string id = pod->id();
  absl::Status status = Make(pod);
  if (!status.ok()) {
    LogWarn("run pod sandbox", {{"pod", id}, {"error", status.message()}});
    Undo(pod);
  }
  // Waiters are taken before anyone can see the result: a call that comes now gets kAlreadyExists, or starts anew.
  const std::vector<DoneWithId> waiting = pod->EndRun();
  if (status.ok()) {
    LogInfo("pod sandbox is ready", {{"pod", id}, {"name", pod->view()->config->metadata().name()}});
    env_.changed(pod, EventType::kCreated);
    env_.changed(pod, EventType::kStarted);
  }
  for (const DoneWithId& done : waiting) {
    done(status.ok() ? absl::StatusOr<std::string>(id) : absl::StatusOr<std::string>(status));
  }
}

absl::Status Pods::Make(const std::shared_ptr<Pod>& pod) {
  state::v1::Pod record = pod->view()->record;
  RETURN_IF_ERROR(Save(pod, record, Durability::kVolatile));  // the intent: everything below is named by its id
  const runtime::v1::PodSandboxConfig& config = *pod->view()->config;
  absl::Status beside;
  RETURN_IF_ERROR(Launch(pod, &record, [this, &beside, &pod] { beside = MakeBesideSupervisor(*pod->view()); }));
  RETURN_IF_ERROR(beside);
  if (record.init_pid() > 0) {
    // Containers see its cgroup in /proc/1/cgroup: it shall be the pod's, not the daemon's.
    RETURN_IF_ERROR(env_.cgroups->Join(SandboxCgroup(record), record.init_pid()));  // failpoint: cgroup.join
  }
  if (!record.netns_path().empty()) {
    std::vector<state::v1::NetworkAttachment> attachments;
    const absl::Status connected = env_.networks->Setup(DescribeNetwork(record, config), &attachments);
    for (state::v1::NetworkAttachment& attachment : attachments) {
      record.mutable_ips()->MergeFrom(attachment.ips());
      *record.add_networks() = std::move(attachment);
    }
    pod->set_record(record);  // an undo from here on has to tear the network down
    RETURN_IF_ERROR(connected);
  }
  record.set_state(state::v1::Pod::READY);
  return Save(pod, record, Durability::kVolatile);
}

absl::Status Pods::MakeBesideSupervisor(const PodView& view) const {
  // A pod without an init has no process of its own, and the groups of its containers are made with them.
  const std::string group = HasInit(*view.config) ? SandboxCgroup(view.record) : view.record.cgroup_parent();
  RETURN_IF_ERROR(env_.cgroups->Make(group));  // failpoint: cgroup.make
  const PodPaths paths(env_.config->state, view.record.id());
  RETURN_IF_ERROR(Failpoint("pod.directory.make"));
  RETURN_IF_ERROR(MakeDirs(paths.directory, 0700));
  RETURN_IF_ERROR(WritePodFiles(paths, *view.config));
  RETURN_IF_ERROR(Failpoint("pod.log_directory.make"));
  return view.config->log_directory().empty() ? absl::OkStatus() : MakeDirs(view.config->log_directory(), 0755);
}

absl::Status Pods::TearDown(const std::shared_ptr<Pod>& pod) {
  const std::shared_ptr<const PodView> view = pod->view();
  state::v1::Pod record = view->record;
  const PodPaths paths(env_.config->state, record.id());
  if (!record.network_torn_down()) {
    if (!record.netns_path().empty()) {
      PodNetwork network = DescribeNetwork(record, *view->config);
      // A reboot took it, or its pin was being made or removed when the daemon died.
      if (!IsNetworkNamespace(network.netns_path)) network.netns_path.clear();
      RETURN_IF_ERROR(
          env_.networks->Teardown(std::move(network), {record.networks().begin(), record.networks().end()}));
    }
    record.set_network_torn_down(true);
    pod->set_record(record);
  }
  RETURN_IF_ERROR(EndSupervisor(pod));
  RETURN_IF_ERROR(Failpoint("pod.pins.release"));
  RETURN_IF_ERROR(ReleasePins(MakePodSpec(record.id(), *view->config, paths, env_.config->pod.shm_bytes)));
  if (record.state() == state::v1::Pod::READY) record.set_state(state::v1::Pod::NOT_READY);
  pod->set_record(record);
  return absl::OkStatus();
}

absl::Status Pods::DiscardFiles(const std::shared_ptr<Pod>& pod) {
  const state::v1::Pod record = pod->view()->record;
  RETURN_IF_ERROR(env_.cgroups->Remove(SandboxCgroup(record)));  // failpoint: cgroup.remove
  RETURN_IF_ERROR(Failpoint("pod.directory.remove"));
  return RemoveTree(PodPaths(env_.config->state, record.id()).directory);
}

absl::Status Pods::DiscardRows(const std::string& id) {
  Transaction change;
  change.Delete(Table::kPods, id);
  return env_.store->Commit(change, Durability::kDurable);
}

absl::Status Pods::Discard(const std::shared_ptr<Pod>& pod) {
  RETURN_IF_ERROR(DiscardFiles(pod));
  RETURN_IF_ERROR(DiscardRows(pod->id()));
  table_.Erase(pod->id(), PodNameKey(pod->view()->config->metadata()));
  return absl::OkStatus();
}

void Pods::Undo(const std::shared_ptr<Pod>& pod) {
  const std::string id = pod->id(), name = PodNameKey(pod->view()->config->metadata());
  absl::Status undone = TearDown(pod);
  if (undone.ok()) undone = DiscardFiles(pod);
  if (!undone.ok()) {
    LogError("undo pod sandbox; it is tried again", {{"pod", id}, {"error", undone.message()}});
    retries_.Failed(id, [this, pod] { pod->queue().Add([this, pod] { Undo(pod); }); });
    return table_.ReleaseName(id, name);
  }
  retries_.Succeeded(id);
  if (absl::Status rows = DiscardRows(id); !rows.ok()) {
    LogWarn("forget pod sandbox; the next start tries again", {{"pod", id}, {"error", rows.message()}});
  }
  table_.Erase(id, name);
}

// The state is saved first: whatever happens from here on, also the next daemon ends the pod.
absl::Status Pods::End(const std::shared_ptr<Pod>& pod) {
  const std::string id = pod->id();
  if (!table_.Find(id).ok()) return absl::OkStatus();  // removed while this was waiting
  const std::string before = pod->view()->record.SerializeAsString();
  const bool was_ready = pod->view()->record.state() == state::v1::Pod::READY;
  if (was_ready) {
    state::v1::Pod record = pod->view()->record;
    record.set_state(state::v1::Pod::NOT_READY);
    if (absl::Status saved = Save(pod, record, Durability::kVolatile); !saved.ok()) {
      LogWarn("save pod sandbox", {{"pod", id}, {"error", saved.message()}});
      pod->set_record(record);
    }
    env_.changed(pod, EventType::kStopped);
  }
  absl::Status status = TearDown(pod);
  const state::v1::Pod after = pod->view()->record;
  const bool changed = after.SerializeAsString() != before;
  if (status.ok() && changed) status = Save(pod, after, Durability::kVolatile);
  if (status.ok()) {
    retries_.Succeeded(id);
    if (changed) LogInfo("pod sandbox is stopped", {{"pod", id}});
    return status;
  }
  LogWarn("stop pod sandbox; it is tried again", {{"pod", id}, {"error", status.message()}});
  retries_.Failed(id, [this, pod] { pod->queue().Add([this, pod] { End(pod).IgnoreError(); }); });
  return status;
}

void Pods::Stop(const std::string& id, Done done) {
  auto found = Find(id);
  if (!found.ok()) return done(absl::IsNotFound(found.status()) ? absl::OkStatus() : found.status());
  const std::shared_ptr<Pod> pod = *found;
  members_->StopAll(pod->id(), [this, pod, done = std::move(done)](absl::Status stopped) {
    if (!stopped.ok()) return done(stopped);
    pod->queue().Add([this, pod, done] { done(End(pod)); });
  });
}

void Pods::Remove(const std::string& id, Done done) {
  auto found = Find(id);
  if (!found.ok()) return done(absl::IsNotFound(found.status()) ? absl::OkStatus() : found.status());
  (*found)->queue().Add([this, pod = *found, done = std::move(done)] { RemoveOnQueue(pod, done); });
}

void Pods::RemoveOnQueue(const std::shared_ptr<Pod>& pod, Done done) {
  if (!Knows(pod->id())) return done(absl::OkStatus());  // a second Remove was faster
  // The intent: what is removed from here on is nothing to go back to.
  state::v1::Pod record = pod->view()->record;
  record.set_removing(true);
  if (absl::Status saved = Save(pod, record, Durability::kVolatile); !saved.ok()) {
    // A full disk is no reason to keep what fills it.
    LogWarn("save that a pod sandbox is being removed", {{"pod", pod->id()}, {"error", saved.message()}});
  }
  Stop(pod->id(), [this, pod, done = std::move(done)](absl::Status stopped) {
    if (!stopped.ok()) return done(stopped);
    members_->RemoveAll(pod->id(), [this, pod, done](absl::Status emptied) {
      if (!emptied.ok()) return done(emptied);
      pod->queue().Add([this, pod, done] {
        if (!table_.Find(pod->id()).ok()) return done(absl::OkStatus());  // a second Remove was faster
        const absl::Status status = Discard(pod);
        if (status.ok()) {
          LogInfo("pod sandbox is removed", {{"pod", pod->id()}});
          env_.changed(pod, EventType::kDeleted);
        }
        done(status);
      });
    });
  });
}

absl::StatusOr<std::shared_ptr<Pod>> Pods::Find(absl::string_view id) const {
  ASSIGN_OR_RETURN(std::shared_ptr<Pod> pod, table_.Find(id));
  if (pod->view()->record.state() == state::v1::Pod::CREATING) {
    return absl::NotFoundError(absl::StrCat("pod sandbox ", pod->id(), " is still being made"));
  }
  return pod;
}

std::vector<std::shared_ptr<Pod>> Pods::All() const {
  std::vector<std::shared_ptr<Pod>> all = table_.All();
  std::erase_if(all, [](const auto& pod) { return pod->view()->record.state() == state::v1::Pod::CREATING; });
  return all;
}

absl::StatusOr<SupervisedResult> Pods::Run(const Call& call, const SupervisedCommand& command) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Pod> pod, table_.Find(command.pod_id));
  // failpoint: of the executor's operation that this is a part of
  if (const std::shared_ptr<Supervisor> supervisor = pod->supervisor()) return supervisor->Run(call, command);
  if (command.purpose != SupervisedCommand::Purpose::kPlain) {
    return absl::FailedPreconditionError(absl::StrCat("run in pod sandbox ", pod->id(), ": it is not running"));
  }
  Command direct;
  direct.argv = command.argv;
  direct.env = command.env;
  direct.deadline_ns = call.deadline_ns;
  direct.cancel_fd = call.cancel_fd;
  direct.output_limit = 16 << 10;
  ASSIGN_OR_RETURN(CommandResult result, RunCommand(direct));
  return SupervisedResult{result.wait_status, 0, std::move(result.out), std::move(result.err)};
}

}  // namespace berth
