// Any bytes as the daemon's configuration: refused with the line, or a configuration whose plugins' tables can be
// handed on.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/config/config.h"
#include "core/config/config_json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto config = berth::ParseConfig({reinterpret_cast<const char*>(data), size}, "fuzz.toml");
  if (!config.ok()) {
    if (config.status().message().empty()) abort();
    return 0;
  }
  for (const auto& [name, table] : config->plugin) {
    const auto again = berth::FromJson(berth::ToJson(table));
    if (!again.ok() || again->size() != table.size()) abort();
  }
  return 0;
}
