// A pod's supervisor: started, found again, watched, ended.
//
// One that hangs up is not dead for that: it is looked for once more, and only when nobody listens any more is the pod
// taken for lost. One that is silent for `supervisor_hang_seconds` while it is asked again and again is killed first.
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/pod/pod_config.h"
#include "core/pod/pods.h"

namespace berth {
namespace {

// A supervisor is asked this often before it counts as hanging: one that is only slow answers one of them.
constexpr int kBeatsToHang = 6;
// Beats that one which was killed has to be gone in. Then it is in uninterruptible sleep, and is given up.
constexpr int kBeatsToDie = 2;
// What a supervisor has to become idle in before it is ended.
constexpr int64_t kIdlePatience = 10'000'000'000;
constexpr useconds_t kFirstPause = 1000, kLongestPause = 100'000;

// A command that an earlier daemon asked for may still be at work, such as an executor's delete that waits for the
// kernel to let go of a cgroup. It ends by itself.
absl::Status ShutDownOnceIdle(Supervisor& supervisor, const Call& call) {
  const int64_t deadline = std::min(call.deadline_ns, MonotonicNanos() + kIdlePatience);
  for (useconds_t pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    absl::Status ended = supervisor.Shutdown(call);
    if (!absl::IsFailedPrecondition(ended) || MonotonicNanos() >= deadline) return ended;
    usleep(pause);
  }
}

}  // namespace

absl::Status Pods::Launch(const std::shared_ptr<Pod>& pod, state::v1::Pod* record,
                          const std::function<void()>& meanwhile) {
  RETURN_IF_ERROR(Failpoint("pod.launch.before"));
  const PodPaths paths(env_.config->state, record->id());
  PodSpec spec = MakePodSpec(record->id(), *pod->view()->config, paths, env_.config->pod.shm_bytes);
  spec.descriptor_limit = env_.descriptor_limit;
  auto supervisor = Supervisor::Launch(env_.loop, env_.starter, spec, events_.get(), SupervisorCall(), meanwhile);
  if (!supervisor.ok()) return Annotate(supervisor.status(), "start the pod's supervisor");
  record->set_supervisor_pid((*supervisor)->pid());
  record->set_init_pid((*supervisor)->init_pid());
  pod->Attach(*std::move(supervisor));
  pod->set_record(*record);
  StartBeating();
  return Failpoint("pod.launch.after");
}

absl::Status Pods::EndSupervisor(const std::shared_ptr<Pod>& pod) {
  if (pod->link() == SupervisorLink::kNone) return absl::OkStatus();
  const std::shared_ptr<Supervisor> supervisor = pod->supervisor();
  if (supervisor == nullptr) {
    return absl::UnavailableError("end the pod's supervisor: it lives, but this daemon has no connection to it");
  }
  RETURN_IF_ERROR(Failpoint("pod.supervisor.shutdown"));
  RETURN_IF_ERROR(Annotate(ShutDownOnceIdle(*supervisor, SupervisorCall()), "end the pod's supervisor"));
  pod->SupervisorEnded();
  return Failpoint("pod.supervisor.ended");
}

bool Pods::SearchFor(const std::shared_ptr<Pod>& pod) {
  const std::string directory = PodPaths(env_.config->state, pod->id()).directory;
  auto search = Supervisor::Search(env_.loop, directory, events_.get(),
                                   [this, pod](absl::StatusOr<FoundSupervisor> f) { OnFound(pod, std::move(f)); });
  if (search.ok()) {
    const std::shared_ptr<SupervisorSearch> asked = *std::move(search);
    pod->set_search(asked);
    // Answered before it was kept: then nobody would let go of it, and the next beat not ask again.
    if (asked->over()) pod->set_search(nullptr);
    return true;
  }
  if (absl::IsNotFound(search.status())) {
    Settle(pod, [this, pod] { SupervisorLost(pod); });
    return true;
  }
  LogWarn("reattach pod sandbox; it is tried again", {{"pod", pod->id()}, {"error", search.status().message()}});
  return absl::IsUnavailable(search.status());
}

// On the loop's thread.
void Pods::OnFound(const std::shared_ptr<Pod>& pod, absl::StatusOr<FoundSupervisor> found) {
  std::lock_guard lock(events_mutex_);
  if (frozen_) return;
  if (found.ok()) {
    std::shared_ptr<Supervisor> supervisor = std::move(found->supervisor);
    return Settle(pod, [this, pod, supervisor, processes = std::move(found->processes)] {
      // Not after Detach: nobody would hang up any more.
      if (pod->link() != SupervisorLink::kAwaited) return;
      pod->Attach(supervisor);
      members_->OnSupervisorFound(pod, processes);
    });
  }
  LogWarn("reattach pod sandbox", {{"pod", pod->id()}, {"error", found.status().message()}});
  // It ended, or hung up on us: the next beat tells.
  if (absl::IsUnavailable(found.status())) return pod->set_search(nullptr);
  Settle(pod, [pod] { pod->LetGo(); });
}

void Pods::OnGone(const std::string& pod_id) {
  std::lock_guard lock(events_mutex_);
  if (frozen_) return;
  auto found = table_.Find(pod_id);
  if (!found.ok()) return;
  (*found)->queue().Add([this, pod = *found] {
    if (pod->link() != SupervisorLink::kAttached) return;
    pod->Await();
    if (pod->gave_supervisor_up()) return SupervisorLost(pod);
    pod->queue().Hold();
    SearchFor(pod);
  });
}

void Pods::SupervisorLost(const std::shared_ptr<Pod>& pod) {
  if (pod->link() != SupervisorLink::kAwaited) return;  // detached
  const state::v1::Pod::State state = pod->view()->record.state();
  if (state != state::v1::Pod::NOT_READY) {
    LogError("the pod's supervisor died; its containers are ended", {{"pod", pod->id()}});
  }
  pod->SupervisorEnded();
  members_->OnSupervisorGone(pod);
  if (state == state::v1::Pod::READY) MarkNotReady(pod);
}

void Pods::MarkNotReady(const std::shared_ptr<Pod>& pod) {
  state::v1::Pod record = pod->view()->record;
  record.set_state(state::v1::Pod::NOT_READY);
  if (absl::Status saved = Save(pod, record, Durability::kVolatile); !saved.ok()) {
    LogError("save pod sandbox", {{"pod", pod->id()}, {"error", saved.message()}});
    pod->set_record(record);
  }
  env_.changed(pod, EventType::kStopped);
}

void Pods::StartBeating() {
  std::lock_guard lock(beat_mutex_);
  if (beating_ || detached_) return;
  beating_ = true;
  const int64_t interval_ns = env_.config->pod.supervisor_hang_seconds * 1'000'000'000 / kBeatsToHang;
  beat_timer_.At(MonotonicNanos() + interval_ns, [this] {
    std::lock_guard beating(beat_mutex_);  // the pool may end once Detach has been here
    if (!detached_) env_.pool->Add([this] { Beat(); });
  });
}

void Pods::Beat() {
  bool any = false;
  for (const auto& pod : table_.All()) any = BeatOne(pod) || any;
  {
    std::lock_guard lock(beat_mutex_);
    beating_ = false;
  }
  if (any) StartBeating();
}

// False for a pod that has no supervisor to be watched.
bool Pods::BeatOne(const std::shared_ptr<Pod>& pod) {
  if (const std::shared_ptr<Supervisor> supervisor = pod->supervisor()) {
    EndSilent(pod, supervisor->pid(), supervisor->Beat());
    return true;
  }
  if (pod->link() != SupervisorLink::kAwaited) return false;
  const std::shared_ptr<SupervisorSearch> search = pod->search();
  const pid_t pid = search != nullptr ? search->pid() : pod->view()->record.supervisor_pid();
  // What keeps us from asking, such as a lack of descriptors, is no silence of its.
  if (search != nullptr || SearchFor(pod)) EndSilent(pod, pid, pod->CountSilence());
  return true;
}

void Pods::EndSilent(const std::shared_ptr<Pod>& pod, pid_t pid, int silence) {
  if (silence == kBeatsToHang) {
    LogError("the pod's supervisor hangs and is killed; its containers are ended",
             {{"pod", pod->id()}, {"pid", pid}, {"seconds", env_.config->pod.supervisor_hang_seconds}});
    // On a thread of its own: reading the command line of a process waits for what holds its memory.
    env_.pool->Add([pid, id = pod->id()] {
      if (absl::Status killed = KillSupervisor(pid, id); !killed.ok()) {
        LogError("end a supervisor that hangs", {{"error", killed.message()}});
      }
    });
  }
  if (silence != kBeatsToHang + kBeatsToDie) return;
  LogError("the pod's supervisor does not die; it is taken for dead, its process stays until the kernel lets go of it",
           {{"pod", pod->id()}, {"pid", pid}});
  pod->GiveUpSupervisor();
  if (const std::shared_ptr<Supervisor> supervisor = pod->supervisor()) return supervisor->HangUp();
  Settle(pod, [this, pod] { SupervisorLost(pod); });
}

}  // namespace berth
