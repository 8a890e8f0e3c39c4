#include "core/supervisor/program/loop.h"

#include <sys/epoll.h>

namespace berth::supervisor {

Error Loop::Open() {
  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  return epoll_ ? Ok() : Errno("epoll_create1");
}

void Loop::RunOnce(int64_t deadline_ns) {
  int timeout = -1;
  if (deadline_ns != INT64_MAX) {
    int64_t left = (deadline_ns - MonotonicNanos() + 999999) / 1000000;
    timeout = left < 0 ? 0 : static_cast<int>(left > 3600000 ? 3600000 : left);
  }
  epoll_event event;
  if (epoll_wait(epoll_.get(), &event, 1, timeout) != 1) return;
  size_t fd = static_cast<size_t>(event.data.fd);
  if (fd >= handlers_.size() || handlers_[fd] == nullptr) return;
  std::shared_ptr<Handler> handler = handlers_[fd];  // it may end its own watch
  (*handler)(event.events);
}

Watch::Watch(Loop* loop, int fd, uint32_t events, Loop::Handler handler) : loop_(loop), fd_(fd) {
  if (loop->handlers_.size() <= static_cast<size_t>(fd)) loop->handlers_.resize(static_cast<size_t>(fd) + 1);
  loop->handlers_[static_cast<size_t>(fd)] =
      std::shared_ptr<Loop::Handler>(new Loop::Handler(std::move(handler)));  // make_shared would bring exceptions in
  epoll_event event = {};
  event.events = events;
  event.data.fd = fd;
  epoll_ctl(loop->epoll_.get(), EPOLL_CTL_ADD, fd, &event);
}

Watch& Watch::operator=(Watch&& other) noexcept {
  if (this != &other) {
    Stop();
    loop_ = std::exchange(other.loop_, nullptr);
    fd_ = other.fd_;
  }
  return *this;
}

void Watch::Stop() {
  if (loop_ == nullptr) return;
  epoll_ctl(loop_->epoll_.get(), EPOLL_CTL_DEL, fd_, nullptr);
  loop_->handlers_[static_cast<size_t>(fd_)].reset();
  loop_ = nullptr;
}

void Watch::SetEvents(uint32_t events) {
  epoll_event event = {};
  event.events = events;
  event.data.fd = fd_;
  epoll_ctl(loop_->epoll_.get(), EPOLL_CTL_MOD, fd_, &event);
}

}  // namespace berth::supervisor
