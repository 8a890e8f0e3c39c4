// The times and the boot that records refer to.
#ifndef BERTH_CORE_BASE_CLOCK_H_
#define BERTH_CORE_BASE_CLOCK_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace berth {

// Nanoseconds since the epoch (CLOCK_REALTIME): what CRI reports.
int64_t UnixNanos();
// CLOCK_MONOTONIC nanoseconds: what deadlines are measured with.
int64_t MonotonicNanos();
// The kernel's random id of this boot: /run and every process are gone when it differs from the recorded one.
absl::StatusOr<std::string> BootId();

}  // namespace berth

#endif  // BERTH_CORE_BASE_CLOCK_H_
