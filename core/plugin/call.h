// What every call into a plugin carries: when to give up, and how to be told to.
#ifndef BERTH_CORE_PLUGIN_CALL_H_
#define BERTH_CORE_PLUGIN_CALL_H_

#include <cstdint>
#include <limits>
#include <string>

namespace berth {

struct Call {
  int cancel_fd = -1;  // readable: give up. Borrowed, never read. -1: never cancelled
  int64_t deadline_ns = std::numeric_limits<int64_t>::max();  // CLOCK_MONOTONIC
  std::string trace_id;                                       // of the request this work belongs to; may be empty
};

}  // namespace berth

#endif  // BERTH_CORE_PLUGIN_CALL_H_
