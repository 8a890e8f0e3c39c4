#include "core/base/descriptor_limit.h"

#include <sys/resource.h>

#include <cstdlib>
#include <string>

#include "absl/strings/numbers.h"

namespace berth {
namespace {

// A successor is started with the raised limit, and with this.
constexpr char kOriginal[] = "BERTH_DESCRIPTOR_LIMIT";

}  // namespace

uint64_t RaiseDescriptorLimit() {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  uint64_t original = limit.rlim_cur;
  const char* inherited = getenv(kOriginal);
  if (inherited == nullptr || !absl::SimpleAtoi(inherited, &original) || original > limit.rlim_max) {
    original = limit.rlim_cur;
    setenv(kOriginal, std::to_string(original).c_str(), /*overwrite=*/1);
  }
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);  // up to the hard limit nobody is refused
  return original;
}

uint64_t DescriptorLimit() {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace berth
