// The exported symbol of a plugin. Plugin authors use the macros of the kinds' headers.
#ifndef BERTH_SDK_MODULE_H_
#define BERTH_SDK_MODULE_H_

#include <string_view>

#include "berth/abi/base.h"

namespace berth::sdk::internal {

struct KindTable {
  std::string_view interface_id;
  const void* table;
};

}  // namespace berth::sdk::internal

// A module with one or more kinds: BERTH_PLUGIN("mine", "1.0", BERTH_KIND_SNAPSHOTTER(A), BERTH_KIND_NETWORK_HOOK(B));
#define BERTH_PLUGIN(plugin_name, plugin_version, ...)                                                     \
  extern "C" __attribute__((visibility("default"))) const berth_module berth_module_v0;                    \
  const berth_module berth_module_v0 = {sizeof(berth_module),                                              \
                                        BERTH_MAGIC,                                                       \
                                        BERTH_ABI_MAJOR,                                                   \
                                        BERTH_ABI_MINOR,                                                   \
                                        0,                                                                 \
                                        plugin_name,                                                       \
                                        plugin_version,                                                    \
                                        nullptr,                                                           \
                                        nullptr,                                                           \
                                        nullptr,                                                           \
                                        [](const char* id) noexcept -> const void* {                       \
                                          const ::berth::sdk::internal::KindTable kinds[] = {__VA_ARGS__}; \
                                          for (const auto& kind : kinds) {                                 \
                                            if (kind.interface_id == id) return kind.table;                \
                                          }                                                                \
                                          return nullptr;                                                  \
                                        }}

#endif  // BERTH_SDK_MODULE_H_
