#include "core/base/clock.h"

#include <ctime>

#include "absl/strings/ascii.h"
#include "core/base/file.h"
#include "core/base/status.h"

namespace berth {
namespace {

int64_t Nanos(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

int64_t UnixNanos() { return Nanos(CLOCK_REALTIME); }
int64_t MonotonicNanos() { return Nanos(CLOCK_MONOTONIC); }

absl::StatusOr<std::string> BootId() {
  ASSIGN_OR_RETURN(std::string id, ReadFile("/proc/sys/kernel/random/boot_id", 64));
  return std::string(absl::StripAsciiWhitespace(id));
}

}  // namespace berth
