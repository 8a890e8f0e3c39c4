// epoll with one handler per descriptor.
#ifndef BERTH_CORE_SUPERVISOR_PROGRAM_LOOP_H_
#define BERTH_CORE_SUPERVISOR_PROGRAM_LOOP_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/supervisor/program/sys.h"

namespace berth::supervisor {

class Loop {
 public:
  using Handler = std::function<void(uint32_t events)>;

  Error Open();
  // One handler call, or none when `deadline_ns` (CLOCK_MONOTONIC) passes first. One at a time, so that a handler may
  // end any other watch without its event being delivered still.
  void RunOnce(int64_t deadline_ns);

 private:
  friend class Watch;
  UniqueFd epoll_;
  std::vector<std::shared_ptr<Handler>> handlers_;  // by descriptor
};

// Watches a descriptor until it goes out of scope, which must be before the descriptor is closed.
class Watch {
 public:
  Watch() = default;
  Watch(Loop* loop, int fd, uint32_t events, Loop::Handler handler);
  Watch(Watch&& other) noexcept : loop_(std::exchange(other.loop_, nullptr)), fd_(other.fd_) {}
  Watch& operator=(Watch&& other) noexcept;
  ~Watch() { Stop(); }

  void Stop();
  void SetEvents(uint32_t events);
  bool active() const { return loop_ != nullptr; }

 private:
  Loop* loop_ = nullptr;
  int fd_ = -1;
};

}  // namespace berth::supervisor

#endif  // BERTH_CORE_SUPERVISOR_PROGRAM_LOOP_H_
