// One pod sandbox in memory.
#ifndef BERTH_CORE_POD_POD_H_
#define BERTH_CORE_POD_POD_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/work_queue.h"
#include "core/pod/handler.h"
#include "core/supervisor/client.h"
#include "proto/berth/state/v1/state.pb.h"
#include "proto/cri/v1/api.pb.h"

namespace berth {

// The answer to an operation; called exactly once, on a worker thread.
using Done = std::function<void(absl::Status)>;
using DoneWithId = std::function<void(absl::StatusOr<std::string>)>;

// What is known of a pod at one moment. Immutable: readers keep it as long as they like.
struct PodView {
  state::v1::Pod record;
  std::shared_ptr<const runtime::v1::PodSandboxConfig> config;
};

// What the daemon knows of a pod's supervisor.
enum class SupervisorLink : uint8_t {
  kNone,      // it has not been started, or has ended
  kAwaited,   // it was there before this daemon, and has not answered yet
  kAttached,  // supervisor() is it
  kLetGo,     // it lives, but not with this daemon: at shutdown, or because it speaks a newer protocol
};

class Pod {
 public:
  Pod(ThreadPool* pool, const Handler* handler, PodView view)
      : id_(view.record.id()),
        queue_(pool),
        handler_(handler),
        view_(std::make_shared<const PodView>(std::move(view))) {}

  const std::string& id() const { return id_; }
  std::shared_ptr<const PodView> view() const {
    std::lock_guard lock(mutex_);
    return view_;
  }
  // Changes of a pod are made on its queue, one at a time.
  void set_record(const state::v1::Pod& record) {
    std::lock_guard lock(mutex_);
    view_ = std::make_shared<const PodView>(PodView{record, view_->config});
  }

  void set_config(std::shared_ptr<const runtime::v1::PodSandboxConfig> config) {
    std::lock_guard lock(mutex_);
    view_ = std::make_shared<const PodView>(PodView{view_->record, std::move(config)});
  }

  SerialQueue& queue() { return queue_; }
  // nullptr when its runtime handler is not configured any more.
  const Handler* handler() const { return handler_; }

  // nullptr unless attached.
  std::shared_ptr<Supervisor> supervisor() const {
    std::lock_guard lock(mutex_);
    return supervisor_;
  }
  // The same, for whoever cannot do without. kFailedPrecondition: there is none; kUnavailable: it is out of reach now.
  absl::StatusOr<std::shared_ptr<Supervisor>> SupervisorOrWhyNot() const {
    std::lock_guard lock(mutex_);
    if (supervisor_ != nullptr) return supervisor_;
    if (link_ == SupervisorLink::kNone) return absl::FailedPreconditionError("it is not running");
    return absl::UnavailableError("the pod's supervisor has not answered this daemon yet; try again");
  }
  SupervisorLink link() const {
    std::lock_guard lock(mutex_);
    return link_;
  }
  // The previous supervisor and search die here, outside the lock.
  void Attach(std::shared_ptr<Supervisor> supervisor) { SetLink(SupervisorLink::kAttached, std::move(supervisor)); }
  void Await() { SetLink(SupervisorLink::kAwaited, nullptr); }
  void LetGo() { SetLink(SupervisorLink::kLetGo, nullptr); }
  void SupervisorEnded() { SetLink(SupervisorLink::kNone, nullptr); }

  // How an awaited one is asked for. Dropped unless the pod still awaits it.
  void set_search(std::shared_ptr<SupervisorSearch> search) {
    std::lock_guard lock(mutex_);
    if (link_ == SupervisorLink::kAwaited) search_.swap(search);
  }
  std::shared_ptr<SupervisorSearch> search() const {
    std::lock_guard lock(mutex_);
    return search_;
  }

  // Of an awaited supervisor: how many beats it has not answered, this one left out.
  int CountSilence() { return silence_.fetch_add(1); }
  // It hangs and cannot even be killed: from now on it counts as dead.
  void GiveUpSupervisor() { given_up_ = true; }
  bool gave_supervisor_up() const { return given_up_; }

  // Calls `done` with the result of the RunPodSandbox under way. False when that has ended: ask the view.
  bool Join(DoneWithId done) {
    std::lock_guard lock(mutex_);
    if (run_ended_) return false;
    waiting_.push_back(std::move(done));
    return true;
  }
  std::vector<DoneWithId> EndRun() {
    std::lock_guard lock(mutex_);
    run_ended_ = true;
    return std::exchange(waiting_, {});
  }

 private:
  void SetLink(SupervisorLink link, std::shared_ptr<Supervisor> supervisor) {
    std::shared_ptr<SupervisorSearch> search;
    std::lock_guard lock(mutex_);
    link_ = link;
    silence_ = 0;
    supervisor_.swap(supervisor);
    search_.swap(search);
  }

  const std::string id_;
  SerialQueue queue_;
  const Handler* const handler_;
  mutable std::mutex mutex_;
  std::shared_ptr<const PodView> view_;
  SupervisorLink link_ = SupervisorLink::kNone;
  std::shared_ptr<Supervisor> supervisor_;
  std::shared_ptr<SupervisorSearch> search_;
  std::atomic<int> silence_{0};
  std::atomic<bool> given_up_{false};
  bool run_ended_ = false;
  std::vector<DoneWithId> waiting_;
};

}  // namespace berth

#endif  // BERTH_CORE_POD_POD_H_
