// All containers of the node: their life from CreateContainer to RemoveContainer.
//
// As in core/pod: an operation is started by any thread and answered through its callback; what changes a container
// happens on its pod's serial queue. A container's file system, bundle and executor state are named by its id, its
// snapshot by the key in its record, which is written before any of them is made.
#ifndef BERTH_CORE_CONTAINER_CONTAINERS_H_
#define BERTH_CORE_CONTAINER_CONTAINERS_H_

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/base/id.h"
#include "core/base/retry_schedule.h"
#include "core/base/timer.h"
#include "core/base/work_queue.h"
#include "core/bus/event_bus.h"
#include "core/config/config.h"
#include "core/container/apparmor_default.h"
#include "core/container/container.h"
#include "core/container/snapshot_cleaner.h"
#include "core/image/images.h"
#include "core/oci/host_inputs.h"
#include "core/oci/selinux.h"
#include "core/pod/cgroup.h"
#include "core/pod/id_table.h"
#include "core/pod/pods.h"
#include "core/store/store.h"

namespace berth {

// Everything containers need from the daemon. All pointers outlive Containers.
struct ContainerEnvironment {
  const Config* config;
  const IdSource* ids;
  Store* store;
  ThreadPool* pool;       // for work in the background
  ThreadPool* exec_pool;  // ExecSync waits here for its process, so that nothing else waits for it
  TimerQueue* timers;
  const CgroupTree* cgroups;
  Images* images;
  Pods* pods;
  const oci::SelinuxContexts* selinux = nullptr;  // of the node, where containers are labelled
  // Told after each change: builds and publishes the event.
  std::function<void(const std::shared_ptr<Container>&, EventType)> changed;
};

struct ExecSyncResult {
  std::string out, err;
  int exit_code = 0;
};
using DoneWithExec = std::function<void(absl::StatusOr<ExecSyncResult>)>;

class Containers : public PodMembers {
 public:
  explicit Containers(ContainerEnvironment environment);
  ~Containers() override;

  // At start-up: reads the records, after Pods::Load and before Pods::Reattach.
  absl::Status Load();
  // Removes what bears a name of ours and has no record of a container or a pod: bundles, executor state, cgroups with
  // the processes in them. After Pods::Sweep, at any time; blocks.
  void Sweep();
  // For a hand-over, with Pods::Freeze: nothing that failed is tried again.
  void Freeze() { retries_.Close(); }
  // At shutdown: answers every StopContainer and ExecSync that waits with kUnavailable. Containers go on.
  void Shutdown();
  // The snapshots that containers own.
  std::set<std::string> SnapshotKeys() const;

  // CreateContainer. A repeated call for the same metadata joins the one in flight; kAlreadyExists once that has ended.
  void Create(const std::string& pod_id, const runtime::v1::ContainerConfig& config, DoneWithId done);
  // StartContainer: kFailedPrecondition unless CREATED. A container that cannot start becomes EXITED.
  void Start(const std::string& id, Done done);
  // StopContainer: OK for one that does not run or is unknown. Answers when its processes are gone.
  void Stop(const std::string& id, int64_t timeout_seconds, Done done);
  // RemoveContainer: OK for an unknown one; a running one is killed.
  void Remove(const std::string& id, Done done);
  // ExecSync. kDeadlineExceeded after `timeout_seconds` (0: none), with the process killed.
  void ExecSync(const std::string& id, const std::vector<std::string>& command, int64_t timeout_seconds,
                DoneWithExec done);

  // UpdateContainerResources of a CREATED or RUNNING container: zero and empty fields stay as they are. All or nothing:
  // on an error what held before holds again.
  void UpdateResources(const std::string& id, const runtime::v1::LinuxContainerResources& update, Done done);

  // ReopenContainerLog: what comes from now on goes to a new file at the log's path, between two lines and without a
  // loss. kFailedPrecondition unless RUNNING. On an error nothing was created and the old file is written on.
  void ReopenLog(const std::string& id, Done done);

  // What the container uses: its cgroup until it has ended, and what it has written. Parts that are not known are left
  // out. Blocks: reads files, and walks the container's writable layer when that was not done for a while.
  void ReadStats(Container& container, runtime::v1::ContainerStats* out) const;

  // By id or unique prefix. Containers that are still being made are not found.
  absl::StatusOr<std::shared_ptr<Container>> Find(absl::string_view id) const;
  // Every container but those still being made, by id.
  std::vector<std::shared_ptr<Container>> All() const;
  std::vector<std::shared_ptr<Container>> OfPod(absl::string_view pod_id) const;

  // PodMembers.
  void StopAll(const std::string& pod_id, Done done) override;
  void RemoveAll(const std::string& pod_id, Done done) override;
  void OnExit(const std::shared_ptr<Pod>& pod, const SupervisedExit& exit) override;
  void OnSupervisorFound(const std::shared_ptr<Pod>& pod, const std::vector<SupervisedProcess>& processes) override;
  void OnSupervisorGone(const std::shared_ptr<Pod>& pod) override;
  void OnReboot(const std::shared_ptr<Pod>& pod) override;

 private:
  // create.cc
  void CreateOnQueue(const std::shared_ptr<Container>& container);
  absl::Status Make(const std::shared_ptr<Container>& container);
  absl::StatusOr<int32_t> TargetPid(const Container& container) const;
  oci::SelinuxLabels LabelsOf(const PodView& pod, const runtime::v1::ContainerConfig& config) const;
  // remove.cc
  // Everything a container has outside the database. Idempotent.
  absl::Status Unmake(const std::shared_ptr<Container>& container);
  absl::Status ForgetRow(const std::string& id);
  absl::Status Discard(const std::shared_ptr<Container>& container);
  // Whether the executor's create of an earlier daemon is still at work, and would make again what is removed.
  absl::StatusOr<bool> IsBeingMade(const Container& container) const;
  // For a container whose making failed, or that an earlier daemon was removing: as Pods::Undo.
  void Undo(const std::shared_ptr<Container>& container);
  void RemoveFound(const std::shared_ptr<Container>& container, Done done);
  void RemoveOnQueue(const std::shared_ptr<Container>& container, Done done);
  // start.cc
  absl::Status StartOnQueue(const std::shared_ptr<Container>& container);
  // stop.cc
  void StopOnQueue(const std::shared_ptr<Container>& container, int64_t patience_ns, Done done);
  void ArmKill(const std::shared_ptr<Container>& container);
  void Kill(const std::shared_ptr<Container>& container);
  void EndStop(const std::shared_ptr<Container>& container, const absl::Status& status);
  absl::Status Abandon(const std::shared_ptr<Container>& container);
  // exit.cc
  void ExitOnQueue(const std::shared_ptr<Container>& container, const SupervisedExit& exit);
  uint64_t PodOomKills(const Container& container) const;
  bool WasOomKilled(const Container& container, int wait_status) const;
  // What the exit makes of the record.
  void RecordExit(const Container& container, const SupervisedExit& exit, state::v1::Container* record) const;
  void Exited(const std::shared_ptr<Container>& container, state::v1::Container record);
  void SaveExit(const std::shared_ptr<Container>& container, const state::v1::Container& record);
  // exec.cc
  absl::StatusOr<ExecSyncResult> RunExec(const std::shared_ptr<Container>& container,
                                         const std::vector<std::string>& command, int64_t timeout_seconds);
  // reopen_log.cc
  absl::Status ReopenLogOf(const Container& container);
  // update.cc
  absl::Status UpdateOnQueue(const std::shared_ptr<Container>& container,
                             const runtime::v1::LinuxContainerResources& update);
  // All that an update changes but the record.
  absl::Status Apply(const Container& container, const runtime::v1::LinuxContainerResources& wanted,
                     const nlohmann::json& json, const std::map<std::string, std::string>& more);
  absl::Status RewriteSpec(const Container& container, const nlohmann::json& resources,
                           std::optional<int> oom_score_adj);
  // Puts back what held before an update that was not committed, if there is one. Idempotent.
  absl::Status UndoUpdate(const std::shared_ptr<Container>& container);
  // recover.cc
  void Insert(const std::shared_ptr<Container>& container);
  // After the executor has not deleted what an exit left.
  absl::Status DeleteWhatExitLeft(const Container& container);
  absl::Status ReattachOne(const std::shared_ptr<Container>& container,
                           const std::vector<SupervisedProcess>& processes);
  // Half-made containers and updates of resources.
  void UndoWhatWasInFlight(const std::shared_ptr<Container>& container);
  // orphans.cc
  // Ends a container whose supervisor is dead. kDeadlineExceeded: processes of it outlive SIGKILL; it is tried again.
  absl::Status EndOrphan(const std::shared_ptr<Container>& container);
  std::optional<SupervisedExit> RecordedExit(const Container& container) const;
  absl::Status KillProcesses(const Container& container);
  void EndExecs(const std::shared_ptr<Container>& container);
  // sweep.cc
  bool IsStray(absl::string_view id) const;
  void SweepContainer(const std::string& id);

  // Also those that are still being made.
  std::vector<std::shared_ptr<Container>> WholePod(const Pod& pod) const;
  absl::Status Save(const std::shared_ptr<Container>& container, const state::v1::Container& record);
  ContainerRequest RequestFor(const Container& container) const;
  Call ExecutorCall() const;
  std::string BundleOf(const std::string& id) const { return env_.config->state + "/bundles/" + id; }

  static constexpr int64_t kFirstRetryNs = 1'000'000'000, kLongestRetryNs = 60'000'000'000;

  const ContainerEnvironment env_;
  SnapshotCleaner cleaner_;
  const oci::CgroupFacts cgroup_facts_;
  AppArmorDefault apparmor_default_;
  const UniqueFd shutdown_;  // an eventfd, readable from Shutdown on
  IdTable<Container> table_{"container"};
  RetrySchedule retries_{kFirstRetryNs, kLongestRetryNs};  // of undoing, or ending as an orphan, by container id
};

}  // namespace berth

#endif  // BERTH_CORE_CONTAINER_CONTAINERS_H_
