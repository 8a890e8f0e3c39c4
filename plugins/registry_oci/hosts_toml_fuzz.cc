// Any bytes as a hosts.toml: values or an error, and what is found can be used without looking at it again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "plugins/registry_oci/hosts_toml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = berth::registry_oci::ParseHostsToml(text, "fuzz");
  if (!parsed.ok()) {
    if (parsed.status().message().empty()) abort();
    return 0;
  }
  for (const auto& host : parsed->hosts) {
    if (host.url.empty() || host.dial_timeout_ms.value_or(1) <= 0) abort();
    for (const auto& [name, value] : host.headers) {
      if (name.empty() || (name + value).find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) abort();
    }
  }
  return 0;
}
