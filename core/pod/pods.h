// All pod sandboxes of the node: their life from RunPodSandbox to RemovePodSandbox.
//
// An operation is started by any thread and answered through its callback. Everything that changes a pod happens on the
// pod's serial queue; different pods never wait for each other. Each step with an effect outside the database is
// covered by the pod's own row, which is there first, so that Reattach can undo it.
#ifndef BERTH_CORE_POD_PODS_H_
#define BERTH_CORE_POD_PODS_H_

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
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
#include "core/pod/cgroup.h"
#include "core/pod/countdown.h"
#include "core/pod/handler.h"
#include "core/pod/id_table.h"
#include "core/pod/pod.h"
#include "core/pod/pod_network.h"
#include "core/store/store.h"
#include "core/supervisor/client.h"

namespace berth {

// What lives inside pods, seen from below: core/container implements it.
class PodMembers {
 public:
  virtual ~PodMembers() = default;
  // Ends every container of the pod at once. Its answer comes when none runs any more.
  virtual void StopAll(const std::string& pod_id, Done done) = 0;
  // Removes every container of the pod.
  virtual void RemoveAll(const std::string& pod_id, Done done) = 0;
  // Exits and log drops of the pod's supervisor, on its loop's thread: be short.
  virtual void OnExit(const std::shared_ptr<Pod>& pod, const SupervisedExit& exit) = 0;
  // These on the pod's queue, and what was in flight when an earlier daemon ended is undone in each of them.
  // The pod's supervisor of before was found again; `processes` are all it has. It is attached.
  virtual void OnSupervisorFound(const std::shared_ptr<Pod>& pod, const std::vector<SupervisedProcess>& processes) = 0;
  // The pod's supervisor is dead. What it leaves running is ended.
  virtual void OnSupervisorGone(const std::shared_ptr<Pod>& pod) = 0;
  // The machine was booted since the pod was made: nothing of it runs, nothing of /run is there.
  virtual void OnReboot(const std::shared_ptr<Pod>& pod) = 0;
};

// Everything pods need from the daemon. All pointers outlive Pods.
struct PodEnvironment {
  const Config* config;
  const IdSource* ids;
  Store* store;
  ThreadPool* pool;
  SupervisorLoop* loop;
  SupervisorStarter* starter;
  const CgroupTree* cgroups;
  const PodNetworks* networks;
  const Handlers* handlers;
  std::string boot_id;
  uint64_t descriptor_limit = 0;  // that containers start with; 0: this process's own
  bool selinux = false;           // pods get a level for their containers
  // Told after each change, on the pod's queue: builds and publishes the event.
  std::function<void(const std::shared_ptr<Pod>&, EventType)> changed;
};

class Pods : public SupervisorService {
 public:
  explicit Pods(PodEnvironment environment);
  ~Pods() override;

  // Before anything else, once.
  void SetMembers(PodMembers* members) { members_ = members; }

  // At start-up, in this order with core/container's own, so that no exit reaches a container that is not loaded yet:
  // reads the records;
  absl::Status Load();
  // finds the supervisors again, all at once, and with them what has become of the pods and their containers. Returns
  // when that is so, or at `deadline_ns`: what a supervisor has not answered until then waits for it on its pod's
  // queue, and the pod stays what its record says;
  void Reattach(int64_t deadline_ns);
  // goes on with what was under way, in the background: pods that were still being made are undone, those that were
  // being removed are, those that were being stopped or that a reboot ended are stopped, and the network hooks learn
  // which pods there are.
  void Resume();

  // Removes what bears a name of ours and has no record: supervisors, pinned namespaces, directories. Containers::Sweep
  // comes after it. At any time once the records are read; blocks.
  void Sweep();

  // For a hand-over: from now on nothing is begun here. What supervisors tell is left to the successor, who asks them
  // again, but for the ends of execs, which are for those who wait here. Tasks under way and what is queued go on.
  void Freeze();

  // At shutdown: hangs up on the supervisors, so that no event comes any more, and tries nothing again. Pods go on.
  void Detach();

  // RunPodSandbox. A repeated call for the same metadata joins the one in flight; kAlreadyExists once that has ended.
  void Run(const runtime::v1::PodSandboxConfig& config, const std::string& runtime_handler, DoneWithId done);
  // StopPodSandbox: OK for a pod that is stopped or unknown. After an error it is NOT_READY, and the rest is tried
  // again until it succeeds, by whoever asks next or by itself, also by later daemons.
  void Stop(const std::string& id, Done done);
  // RemovePodSandbox: OK for an unknown pod; stops it first.
  void Remove(const std::string& id, Done done);

  // UpdatePodSandboxResources: the kubelet has changed the pod's cgroup, which is its own; the sums are recorded here.
  // nullopt stays as it is. kFailedPrecondition unless READY.
  void UpdateResources(const std::string& id, std::optional<runtime::v1::LinuxContainerResources> overhead,
                       std::optional<runtime::v1::LinuxContainerResources> resources, Done done);

  // By id or unique prefix. Pods that are still being made are not found.
  absl::StatusOr<std::shared_ptr<Pod>> Find(absl::string_view id) const;
  // Every pod but those still being made, by id.
  std::vector<std::shared_ptr<Pod>> All() const;
  // Whether there is a record of it, also of one still being made.
  bool Knows(absl::string_view id) const { return table_.Find(id).ok(); }
  const Handlers& handlers() const { return *env_.handlers; }

  // SupervisorService: runs an executor's command in the pod's supervisor. A kPlain one runs without it when that has
  // ended, so that what it left can still be deleted.
  absl::StatusOr<SupervisedResult> Run(const Call& call, const SupervisedCommand& command) override;

 private:
  class Events;

  // Under level_mutex_ until the pod is in the table.
  absl::StatusOr<std::string> SelinuxLevelOf(const std::string& id, const runtime::v1::PodSandboxConfig& config) const;
  void RunOnQueue(const std::shared_ptr<Pod>& pod);
  absl::Status Make(const std::shared_ptr<Pod>& pod);
  // What needs no supervisor, while that starts: cgroups, files, the directory of logs.
  absl::Status MakeBesideSupervisor(const PodView& view) const;
  // Undoes everything a pod has outside the database but its directory and cgroup. Idempotent. On the queue.
  absl::Status TearDown(const std::shared_ptr<Pod>& pod);
  // Removes those, and the rows. On the queue, after TearDown.
  absl::Status Discard(const std::shared_ptr<Pod>& pod);
  // Both, for a pod whose making failed: what the database answers stops nothing, its rows are dealt with at the next
  // start. On an error outside it the pod stays in the table, without its name, and this is tried again until it
  // succeeds.
  void Undo(const std::shared_ptr<Pod>& pod);
  // NOT_READY, then TearDown; what fails is tried again. On the queue.
  absl::Status End(const std::shared_ptr<Pod>& pod);
  void CollectNetworks();
  void RemoveOnQueue(const std::shared_ptr<Pod>& pod, Done done);
  absl::Status SweepPod(const std::string& id, const std::vector<pid_t>& supervisors);
  absl::Status DiscardFiles(const std::shared_ptr<Pod>& pod);
  absl::Status DiscardRows(const std::string& id);
  absl::Status UpdateOnQueue(const std::shared_ptr<Pod>& pod,
                             const std::optional<runtime::v1::LinuxContainerResources>& overhead,
                             const std::optional<runtime::v1::LinuxContainerResources>& resources);
  // pod_supervisor.cc
  // `meanwhile` as of Supervisor::Launch.
  absl::Status Launch(const std::shared_ptr<Pod>& pod, state::v1::Pod* record, const std::function<void()>& meanwhile);
  absl::Status EndSupervisor(const std::shared_ptr<Pod>& pod);
  // Looks for the supervisor of a pod whose queue is held, which is released once it is known what there is. True when
  // something has been asked.
  bool SearchFor(const std::shared_ptr<Pod>& pod);
  void OnFound(const std::shared_ptr<Pod>& pod, absl::StatusOr<FoundSupervisor> found);
  void OnGone(const std::string& pod_id);
  // On the queue.
  void SupervisorLost(const std::shared_ptr<Pod>& pod);
  void StartBeating();
  void Beat();
  bool BeatOne(const std::shared_ptr<Pod>& pod);
  void EndSilent(const std::shared_ptr<Pod>& pod, pid_t pid, int silence);
  // pod_recovery.cc
  void Recover(const std::shared_ptr<Pod>& pod);
  void RecoverAfterBoot(const std::shared_ptr<Pod>& pod);
  // Releases the pod's queue, with `first` to run.
  void Settle(const std::shared_ptr<Pod>& pod, Task first);
  void MarkNotReady(const std::shared_ptr<Pod>& pod);
  absl::Status Save(const std::shared_ptr<Pod>& pod, const state::v1::Pod& record, Durability durability);
  Call SupervisorCall() const;

  static constexpr int64_t kFirstRetryNs = 1'000'000'000, kLongestRetryNs = 60'000'000'000;

  const PodEnvironment env_;
  PodMembers* members_ = nullptr;
  const std::unique_ptr<SupervisorEvents> events_;
  IdTable<Pod> table_{"pod sandbox"};
  RetrySchedule retries_{kFirstRetryNs, kLongestRetryNs};  // by pod id
  std::mutex level_mutex_;                                 // two pods that are made at once take two levels
  Countdown recovering_;                                   // pods
  std::mutex beat_mutex_;                                  // guards what is below
  bool beating_ = false, detached_ = false;
  TimerQueue beat_timer_;
  std::mutex events_mutex_;  // held while an event of a supervisor is handed on
  bool frozen_ = false;      // guarded by it
};

}  // namespace berth

#endif  // BERTH_CORE_POD_PODS_H_
