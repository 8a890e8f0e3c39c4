// One pod sandbox in memory.
#ifndef BERTH_CORE_POD_POD_H_
#define BERTH_CORE_POD_POD_H_

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

class Pod {
 public:
  Pod(ThreadPool* pool, const Handler* handler, PodView view)
      : queue_(pool), handler_(handler), view_(std::make_shared<const PodView>(std::move(view))) {}

  // The view never changes its id.
  std::string id() const { return view()->record.id(); }
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

  // nullptr before it runs and after it ended.
  std::shared_ptr<Supervisor> supervisor() const {
    std::lock_guard lock(mutex_);
    return supervisor_;
  }
  void set_supervisor(std::shared_ptr<Supervisor> supervisor) {
    std::lock_guard lock(mutex_);
    supervisor_.swap(supervisor);
  }  // the previous one dies here, outside the lock

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
  SerialQueue queue_;
  const Handler* const handler_;
  mutable std::mutex mutex_;
  std::shared_ptr<const PodView> view_;
  std::shared_ptr<Supervisor> supervisor_;
  bool run_ended_ = false;
  std::vector<DoneWithId> waiting_;
};

}  // namespace berth

#endif  // BERTH_CORE_POD_POD_H_
