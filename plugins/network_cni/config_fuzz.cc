// Any bytes as a CNI configuration file: refused, or a list that survives being kept and read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "plugins/network_cni/config_list.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using berth::network_cni::ConfigList;
  const auto first =
      berth::network_cni::ParseConfigList(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz");
  if (!first.ok()) return 0;
  if (first->versions.empty() || first->version != first->versions[0]) abort();
  for (const auto& plugin : first->plugins) {
    const std::string type = berth::json::StringMember(plugin, "type");
    if (type.empty() || type.find('/') != type.npos || type == "..") abort();
  }
  if (first->plugins.empty()) return 0;  // they come from a folder
  const auto second = berth::network_cni::ConfigListFromJson(first->ToJson(), "again");
  if (!second.ok() || second->name != first->name || second->version != first->version ||
      second->plugins != first->plugins || second->disable_gc != first->disable_gc) {
    abort();
  }
  return 0;
}
