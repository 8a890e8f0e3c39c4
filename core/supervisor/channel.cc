#include "core/supervisor/channel.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/status.h"

namespace berth {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
// How long a supervisor may take to say how a command that it was told to kill ended.
constexpr int64_t kGraceNs = 5'000'000'000;
constexpr int kFramesAtATime = 32;

int64_t Plus(int64_t deadline, int64_t grace) { return deadline > kNever - grace ? kNever : deadline + grace; }

int PollTimeout(int64_t deadline_ns) {
  if (deadline_ns == kNever) return -1;
  int64_t left_ms = (deadline_ns - MonotonicNanos() + 999'999) / 1'000'000;
  return static_cast<int>(std::clamp<int64_t>(left_ms, 0, 3'600'000));
}

void Signal(int event_fd) {
  uint64_t one = 1;
  (void)!write(event_fd, &one, sizeof(one));
}

absl::StatusOr<wire::Frame> ReplyOrError(wire::Frame reply) {
  if (reply.code == wire::kOk) return reply;
  wire::ErrorReply error;
  if (!wire::Decode(reply.body, &error)) error.text = "malformed error from the supervisor";
  return absl::Status(static_cast<absl::StatusCode>(reply.code), error.text);
}

}  // namespace

int64_t TimeoutOf(const Call& call) {
  if (call.deadline_ns == kNever) return wire::kNoDeadline;
  return std::max<int64_t>(0, call.deadline_ns - MonotonicNanos());
}

absl::Status Channel::Gone() const {
  return absl::UnavailableError(absl::StrCat("the supervisor of ", name_, " is gone"));
}

// The frame as it goes out, with a number that its reply will name.
absl::StatusOr<wire::Packet> Channel::Register(wire::Frame frame, const std::shared_ptr<Pending>& pending,
                                               uint64_t* request) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (ended_) return Gone();
    frame.request = *request = next_request_++;
    pending_[*request] = pending;
  }
  wire::Packet packet;
  if (wire::Pack(std::move(frame), &packet)) return packet;
  const absl::Status failed = ErrnoStatus("make a message for the supervisor");
  std::lock_guard<std::mutex> lock(mutex_);
  pending_.erase(*request);
  return failed;
}

absl::StatusOr<wire::Frame> Channel::Ask(const Call& call, wire::Frame frame, const std::function<void()>& meanwhile) {
  auto pending = std::make_shared<Pending>();
  pending->done.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!pending->done) return ErrnoStatus("eventfd");
  uint64_t request = 0;
  ASSIGN_OR_RETURN(const wire::Packet packet, Register(std::move(frame), pending, &request));
  absl::Status sent = SendNow(call, packet);
  if (sent.ok() && meanwhile) meanwhile();
  absl::StatusOr<wire::Frame> reply = sent.ok() ? Wait(call, request, pending) : sent;
  std::lock_guard<std::mutex> lock(mutex_);
  pending_.erase(request);
  return reply;
}

absl::Status Channel::AskLater(wire::Frame frame, Answered answered) {
  auto pending = std::make_shared<Pending>();
  pending->later = std::move(answered);
  uint64_t request = 0;
  ASSIGN_OR_RETURN(const wire::Packet packet, Register(std::move(frame), pending, &request));
  const int err = wire::SendPacket(socket_.get(), packet);
  if (err == 0) return absl::OkStatus();
  std::lock_guard<std::mutex> lock(mutex_);
  // Taken by End meanwhile, it has been answered.
  if (pending_.erase(request) == 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("ask the supervisor of ", name_, ": ", strerrordesc_np(err)));
}

// What comes after a question was asked and before the next beat is a sign of life, whatever it is.
int Channel::Beat() {
  const int silent = silent_beats_.fetch_add(1);
  if (beat_asked_.exchange(true)) return silent;
  const auto heard = [this](const absl::StatusOr<wire::Frame>&) { beat_asked_ = false; };
  if (!AskLater(wire::MakeFrame(wire::Type::kList, 0, wire::Empty()), heard).ok()) beat_asked_ = false;
  return silent;
}

void Channel::HangUp() { shutdown(socket_.get(), SHUT_RDWR); }

absl::Status Channel::Tell(wire::Frame frame) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (ended_) return Gone();
    frame.request = next_request_++;
  }
  wire::Packet packet;
  if (!wire::Pack(std::move(frame), &packet)) return ErrnoStatus("make a message for the supervisor");
  Call call;
  call.deadline_ns = Plus(MonotonicNanos(), kGraceNs);
  return SendNow(call, packet);
}

// A packet goes out as a whole or not at all, so senders need no lock.
absl::Status Channel::SendNow(const Call& call, const wire::Packet& packet) {
  for (;;) {
    int err = wire::SendPacket(socket_.get(), packet);
    if (err == 0) return absl::OkStatus();
    if (err != EAGAIN) {
      return absl::UnavailableError(absl::StrCat("the supervisor of ", name_, " is gone: ", strerrordesc_np(err)));
    }
    pollfd poll_fds[] = {{socket_.get(), POLLOUT, 0}, {call.cancel_fd, POLLIN, 0}};
    if (poll(poll_fds, 2, PollTimeout(call.deadline_ns)) == 0) {
      return absl::DeadlineExceededError(absl::StrCat("the supervisor of ", name_, " takes no requests"));
    }
    if (poll_fds[1].revents != 0) return absl::CancelledError("cancelled before the supervisor was asked");
  }
}

absl::StatusOr<wire::Frame> Channel::Wait(const Call& call, uint64_t request, const std::shared_ptr<Pending>& pending) {
  // The supervisor keeps the deadline itself; ours is for one that does not answer.
  int64_t deadline = Plus(call.deadline_ns, kGraceNs);
  int cancel_fd = call.cancel_fd;
  for (;;) {
    pollfd poll_fds[] = {{pending->done.get(), POLLIN, 0}, {cancel_fd, POLLIN, 0}};
    int ready = poll(poll_fds, 2, PollTimeout(deadline));
    if (ready < 0 && errno != EINTR) return ErrnoStatus("wait for the supervisor");
    if (ready > 0 && poll_fds[0].revents != 0) break;
    if (ready == 0 && MonotonicNanos() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat("the supervisor of ", name_, " did not answer"));
    }
    if (ready > 0 && poll_fds[1].revents != 0) {
      cancel_fd = -1;
      deadline = std::min(deadline, Plus(MonotonicNanos(), kGraceNs));
      RETURN_IF_ERROR(Tell(wire::MakeFrame(wire::Type::kCancel, 0, wire::Cancel{request})));
    }
  }
  std::lock_guard<std::mutex> lock(mutex_);
  if (!pending->answered) return Gone();
  return ReplyOrError(std::move(pending->reply));
}

bool Channel::OnReadable() {
  for (int i = 0; i < kFramesAtATime; ++i) {
    wire::Frame frame;
    wire::Received received = wire::ReceiveFrame(socket_.get(), &frame);
    if (received == wire::Received::kNothing) return true;
    if (received == wire::Received::kFrame && OnFrame(std::move(frame))) continue;
    if (received != wire::Received::kEnd) {
      LogError("supervisor broke the protocol, hanging up", {{"pod", name_}});
    }
    End();
    return false;
  }
  return true;
}

// False: not what a supervisor may say.
bool Channel::OnFrame(wire::Frame frame) {
  silent_beats_ = 0;
  if (frame.type == wire::Type::kReply) {
    OnReply(std::move(frame));
    return true;
  }
  std::string pod_id = hello().pod_id;
  if (pod_id.empty() || !frame.descriptors.empty()) return false;
  if (frame.type == wire::Type::kExit) {
    wire::Exit exit;
    if (!wire::Decode(frame.body, &exit)) return false;
    std::lock_guard<std::recursive_mutex> lock(events_mutex_);
    SupervisedExit told = {exit.sequence, exit.container_id, exit.exec_id, exit.wait_status, exit.at_unix_ns};
    if (events_ != nullptr) events_->OnExit(pod_id, told);
    return true;
  }
  if (frame.type == wire::Type::kLogDrops) {
    wire::LogDrops drops;
    if (!wire::Decode(frame.body, &drops)) return false;
    std::lock_guard<std::recursive_mutex> lock(events_mutex_);
    if (events_ != nullptr) events_->OnLogDrops(pod_id, drops.container_id, drops.lines);
    return true;
  }
  return false;
}

void Channel::OnReply(wire::Frame frame) {
  std::shared_ptr<Pending> later;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    // The first request of a connection is the hello. Events may follow before its caller has looked at the answer.
    if (frame.request == 1 && frame.code == wire::kOk && !wire::Decode(frame.body, &hello_)) hello_ = {};
    auto it = pending_.find(frame.request);
    if (it == pending_.end() || it->second->answered)
      return;  // its caller gave up; descriptors are closed with the frame
    if (it->second->later == nullptr) {
      it->second->reply = std::move(frame);
      it->second->answered = true;
      return Signal(it->second->done.get());
    }
    later = it->second;
    pending_.erase(it);
  }
  Deliver(later, ReplyOrError(std::move(frame)));
}

void Channel::Deliver(const std::shared_ptr<Pending>& pending, absl::StatusOr<wire::Frame> reply) {
  std::lock_guard<std::recursive_mutex> lock(events_mutex_);
  if (!detached_) pending->later(std::move(reply));
}

void Channel::End() {
  bool tell;
  std::vector<std::shared_ptr<Pending>> later;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
    tell = !end_expected_ && !hello_.pod_id.empty();
    for (auto it = pending_.begin(); it != pending_.end();) {
      if (it->second->later == nullptr) {
        Signal(it->second->done.get());
        ++it;
      } else {
        later.push_back(it->second);
        it = pending_.erase(it);
      }
    }
  }
  for (const auto& pending : later) Deliver(pending, Gone());
  std::lock_guard<std::recursive_mutex> lock(events_mutex_);
  if (SupervisorEvents* events = std::exchange(events_, nullptr); tell && events != nullptr) {
    events->OnGone(hello().pod_id);
  }
}

void Channel::Detach() {
  std::lock_guard<std::recursive_mutex> lock(events_mutex_);
  events_ = nullptr;
  detached_ = true;
}

void Channel::ExpectEnd(bool expected) {
  std::lock_guard<std::mutex> lock(mutex_);
  end_expected_ = expected;
}

wire::HelloReply Channel::hello() {
  std::lock_guard<std::mutex> lock(mutex_);
  return hello_;
}

absl::StatusOr<std::unique_ptr<SupervisorLoop::Impl>> SupervisorLoop::Impl::Start() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC)), stop(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll || !stop) return ErrnoStatus("make the supervisors' event loop");
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = 0;
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, stop.get(), &event) != 0) return ErrnoStatus("epoll_ctl");
  std::unique_ptr<Impl> impl(new Impl(std::move(epoll), std::move(stop)));
  impl->thread_ = std::thread([raw = impl.get()] { raw->Run(); });
  return impl;
}

SupervisorLoop::Impl::~Impl() {
  Signal(stop_.get());
  thread_.join();
}

absl::Status SupervisorLoop::Impl::Add(const std::shared_ptr<Channel>& channel) {
  std::lock_guard<std::mutex> lock(mutex_);
  uint64_t id = next_id_++;
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = id;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, channel->fd(), &event) != 0) return ErrnoStatus("epoll_ctl");
  channels_[id] = channel;
  return absl::OkStatus();
}

void SupervisorLoop::Impl::Remove(const std::shared_ptr<Channel>& channel) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (auto it = channels_.begin(); it != channels_.end(); ++it) {
    if (it->second != channel) continue;
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, channel->fd(), nullptr);
    channels_.erase(it);
    return;
  }
}

void SupervisorLoop::Impl::Run() {
  for (;;) {
    epoll_event event;
    int n = epoll_wait(epoll_.get(), &event, 1, -1);
    if (n < 0 && errno != EINTR) return;
    if (n != 1) continue;
    if (event.data.u64 == 0) return;
    std::shared_ptr<Channel> channel;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      auto it = channels_.find(event.data.u64);
      if (it != channels_.end()) channel = it->second;
    }
    if (channel != nullptr && !channel->OnReadable()) Remove(channel);
  }
}

SupervisorLoop::SupervisorLoop(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SupervisorLoop::~SupervisorLoop() = default;

absl::StatusOr<std::unique_ptr<SupervisorLoop>> SupervisorLoop::Start() {
  ASSIGN_OR_RETURN(std::unique_ptr<Impl> impl, Impl::Start());
  return std::unique_ptr<SupervisorLoop>(new SupervisorLoop(std::move(impl)));
}

}  // namespace berth
