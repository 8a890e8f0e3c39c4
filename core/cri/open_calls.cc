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

grpc::Status TooManyStreams() {
  return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                      "too many streams are open on this daemon; end those that are not read, or try again later");
}

}  // namespace

void OpenCalls::Add(const std::shared_ptr<OpenCall>& call) { Enter(call, {call, Length::kFinite, false}); }

void OpenCalls::AddStream(const std::shared_ptr<OpenCall>& call, Length length) { Enter(call, {call, length, true}); }

void OpenCalls::Enter(const std::shared_ptr<OpenCall>& call, Entry entry) {
  bool too_late, too_many;
  {
    std::lock_guard lock(mutex_);
    too_late = entry.length == Length::kEndless ? ends_endless_ : ends_finite_;
    too_many = entry.stream && streams_ >= kMostStreams;
    streams_ += entry.stream ? 1 : 0;
    calls_.emplace(call.get(), std::move(entry));
  }
  if (too_late) return call->End(Stopping());
  if (too_many) call->End(TooManyStreams());
}

void OpenCalls::Remove(OpenCall* call) {
  // Notified under the lock: the one who waits may destroy this as soon as it is released.
  std::lock_guard lock(mutex_);
  if (const auto found = calls_.find(call); found != calls_.end()) {
    streams_ -= found->second.stream ? 1 : 0;
    calls_.erase(found);
  }
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

size_t OpenCalls::WaitForHandOver(int64_t deadline_ns) {
  std::unique_lock lock(mutex_);
  const std::chrono::nanoseconds patience(std::max<int64_t>(deadline_ns - MonotonicNanos(), 0));
  const auto left = [this] {
    return std::count_if(calls_.begin(), calls_.end(),
                         [](const auto& c) { return c.second.call->hand_over() == HandOver::kEnds; });
  };
  changed_.wait_for(lock, patience, [&] { return left() == 0; });
  return static_cast<size_t>(left());
}

void OpenCalls::MoveAll() {
  std::vector<std::shared_ptr<OpenCall>> moved;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [call, entry] : calls_) {
      if (entry.call->hand_over() == HandOver::kMoves) moved.push_back(entry.call);
    }
  }
  for (const auto& call : moved) call->Move(call);
}

void OpenCalls::WaitUntilNone(int64_t deadline_ns) {
  std::unique_lock lock(mutex_);
  const std::chrono::nanoseconds patience(std::max<int64_t>(deadline_ns - MonotonicNanos(), 0));
  changed_.wait_for(lock, patience, [this] { return calls_.empty(); });
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
