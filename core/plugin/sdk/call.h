// What every operation carries: when to give up, and how to be told to.
#ifndef BERTH_SDK_CALL_H_
#define BERTH_SDK_CALL_H_

#include <poll.h>
#include <time.h>

#include <cstdint>
#include <limits>
#include <string>

#include "berth/sdk/status.h"

namespace berth::sdk {

struct Call {
  int cancel_fd = -1;  // readable: give up. Borrowed, never read. -1: never cancelled
  int64_t deadline_ns = std::numeric_limits<int64_t>::max();  // CLOCK_MONOTONIC
  std::string trace_id;

  bool cancelled() const {
    pollfd p{cancel_fd, POLLIN, 0};
    return cancel_fd >= 0 && poll(&p, 1, 0) == 1;
  }

  // kCancelled or kDeadlineExceeded once the work is no longer wanted: ask between steps of something long.
  Status Check() const {
    if (cancelled()) return Cancelled("the caller gave up");
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec >= deadline_ns) return DeadlineExceeded("out of time");
    return {};
  }
};

}  // namespace berth::sdk

#endif  // BERTH_SDK_CALL_H_
