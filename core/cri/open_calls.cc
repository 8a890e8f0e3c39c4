#include "core/cri/open_calls.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "core/base/clock.h"

namespace berth {
namespace {

grpc::Status Stopping() {
  return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the daemon is stopping; what was begun goes on, ask again later");
}

}  // namespace

void OpenCalls::Add(const std::shared_ptr<OpenCall>& call, Length length) {
  bool too_late;
  {
    std::lock_guard lock(mutex_);
    calls_.emplace(call.get(), Entry{call, length});
    too_late = length == Length::kEndless ? ends_endless_ : ends_finite_;
  }
  if (too_late) call->End(Stopping());
}

void OpenCalls::Remove(OpenCall* call) {
  // Notified under the lock: the one who waits may destroy this as soon as it is released.
  std::lock_guard lock(mutex_);
  calls_.erase(call);
  changed_.notify_all();
}

size_t OpenCalls::size() const {
  std::lock_guard lock(mutex_);
  return calls_.size();
}

bool OpenCalls::FiniteLeft() const {
  return std::any_of(calls_.begin(), calls_.end(), [](const auto& c) { return c.second.length == Length::kFinite; });
}

void OpenCalls::EndAll(Length length) {
  std::vector<std::shared_ptr<OpenCall>> ended;
  {
    std::lock_guard lock(mutex_);
    (length == Length::kEndless ? ends_endless_ : ends_finite_) = true;
    for (const auto& [call, entry] : calls_) {
      if (entry.length == length) ended.push_back(entry.call);
    }
  }
  // Outside the lock, and with references kept: an end may complete at once and call Remove.
  for (const auto& call : ended) call->End(Stopping());
}

void OpenCalls::Drain(int64_t deadline_ns) {
  EndAll(Length::kEndless);
  {
    std::unique_lock lock(mutex_);
    const std::chrono::nanoseconds patience(std::max<int64_t>(deadline_ns - MonotonicNanos(), 0));
    changed_.wait_for(lock, patience, [&] { return !FiniteLeft(); });
  }
  EndAll(Length::kFinite);
}

}  // namespace berth
