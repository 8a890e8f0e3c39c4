// One container in memory.
#ifndef BERTH_CORE_CONTAINER_CONTAINER_H_
#define BERTH_CORE_CONTAINER_CONTAINER_H_

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/timer.h"
#include "core/pod/pod.h"
#include "core/stats/cpu_rate.h"
#include "core/stats/disk_usage.h"
#include "proto/berth/state/v1/state.pb.h"
#include "proto/cri/v1/api.pb.h"

namespace berth {

// What is known of a container at one moment. Immutable: readers keep it as long as they like.
struct ContainerView {
  state::v1::Container record;
  std::shared_ptr<const runtime::v1::ContainerConfig> config;
};

// A StopContainer under way. Touched on the pod's queue only.
struct StopInProgress {
  std::vector<Done> waiting;
  int64_t kill_at_ns = 0;  // CLOCK_MONOTONIC; moved forward by a call with less patience
  TimerQueue::Id timer = 0;
  bool killed = false;
};

// Told when an exec has ended; on the supervisor loop's thread.
using OnExecExit = std::function<void(const SupervisedExit&)>;

class Container {
 public:
  Container(std::shared_ptr<Pod> pod, ContainerView view)
      : id_(view.record.id()), pod_(std::move(pod)), view_(std::make_shared<const ContainerView>(std::move(view))) {}

  const std::string& id() const { return id_; }
  const std::shared_ptr<Pod>& pod() const { return pod_; }
  std::shared_ptr<const ContainerView> view() const {
    std::lock_guard lock(mutex_);
    return view_;
  }
  // Changes are made on the pod's queue, one at a time.
  void set_record(const state::v1::Container& record) {
    std::lock_guard lock(mutex_);
    view_ = std::make_shared<const ContainerView>(ContainerView{record, view_->config});
  }
  state::v1::Container::State state() const {
    std::lock_guard lock(mutex_);
    return view_->record.state();
  }

  // Calls `done` with the result of the CreateContainer under way. False when that has ended.
  bool Join(DoneWithId done) {
    std::lock_guard lock(mutex_);
    if (create_ended_) return false;
    waiting_.push_back(std::move(done));
    return true;
  }
  bool create_ended() const {
    std::lock_guard lock(mutex_);
    return create_ended_;
  }
  std::vector<DoneWithId> EndCreate() {
    std::lock_guard lock(mutex_);
    create_ended_ = true;
    return std::exchange(waiting_, {});
  }

  std::optional<StopInProgress>& stop() { return stop_; }

  // What one look at its use of resources leaves for the next.
  CpuRate& cpu_rate() { return cpu_rate_; }
  DiskUsage& disk_usage() { return disk_usage_; }

  void AddExec(const std::string& exec_id, OnExecExit on_exit) {
    std::lock_guard lock(mutex_);
    execs_[exec_id] = std::move(on_exit);
  }
  // What AddExec gave, once.
  OnExecExit TakeExec(const std::string& exec_id) {
    std::lock_guard lock(mutex_);
    const auto found = execs_.find(exec_id);
    if (found == execs_.end()) return nullptr;
    OnExecExit taken = std::move(found->second);
    execs_.erase(found);
    return taken;
  }
  // All that AddExec gave and nobody has taken.
  std::map<std::string, OnExecExit> TakeExecs() {
    std::lock_guard lock(mutex_);
    return std::exchange(execs_, {});
  }

 private:
  const std::string id_;
  const std::shared_ptr<Pod> pod_;
  mutable std::mutex mutex_;
  std::shared_ptr<const ContainerView> view_;
  bool create_ended_ = false;
  std::vector<DoneWithId> waiting_;
  std::map<std::string, OnExecExit> execs_;
  std::optional<StopInProgress> stop_;
  CpuRate cpu_rate_;
  DiskUsage disk_usage_;
};

}  // namespace berth

#endif  // BERTH_CORE_CONTAINER_CONTAINER_H_
