#include "core/oci/platform.h"

#include <sys/utsname.h>

#include <utility>

namespace berth::oci {
namespace {

#if defined(__x86_64__)
// The levels of the x86-64 psABI.
int MicroarchitectureLevel() {
  __builtin_cpu_init();
  const bool v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt") &&
                  __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.1");
  const bool v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                  __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  return v4 ? 4 : v3 ? 3 : v2 ? 2 : 1;
}
#endif

// "v7" -> 7; -1 for what is no variant. A missing one is the baseline that image builders mean by it.
int Level(const Platform& platform) {
  if (platform.variant.empty()) return platform.architecture == "arm64" ? 8 : platform.architecture == "arm" ? 7 : 1;
  if (platform.variant.size() != 2 || platform.variant[0] != 'v') return -1;
  const char digit = platform.variant[1];
  return digit >= '0' && digit <= '9' ? digit - '0' : -1;
}

}  // namespace

std::string Platform::ToString() const {
  std::string text = os + "/" + architecture;
  if (!variant.empty()) text += "/" + variant;
  return text;
}

Platform HostPlatform() {
  Platform host{.os = "linux"};
#if defined(__x86_64__)
  host.architecture = "amd64";
  host.variant = "v" + std::to_string(MicroarchitectureLevel());
#elif defined(__aarch64__)
  host.architecture = "arm64";
  host.variant = "v8";
#else
  static constexpr std::pair<const char*, const char*> kNames[] = {
      {"armv7l", "arm"}, {"ppc64le", "ppc64le"}, {"s390x", "s390x"}, {"riscv64", "riscv64"}};
  utsname name = {};
  uname(&name);
  host.architecture = name.machine;
  for (auto [machine, architecture] : kNames) {
    if (host.architecture == machine) host.architecture = architecture;
  }
#endif
  return host;
}

int PlatformRank(const Platform& host, const Platform& candidate) {
  if (candidate.os != host.os || candidate.architecture != host.architecture) return -1;
  const int level = Level(candidate);
  if (level < 0) return candidate.variant == host.variant ? 0 : -1;
  return level <= Level(host) ? level : -1;
}

}  // namespace berth::oci
