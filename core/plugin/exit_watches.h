// Who waits for the exits of a plugin's containers. A plugin is handed a number, never a pointer: one that reports an
// exit twice, or after everything of its instance is gone, does no harm.
#ifndef BERTH_CORE_PLUGIN_EXIT_WATCHES_H_
#define BERTH_CORE_PLUGIN_EXIT_WATCHES_H_

#include <cstdint>
#include <map>
#include <mutex>

#include "berth/abi/executor.h"
#include "core/plugin/oci_executor.h"

namespace berth {

// Thread-safe. One for the process, never destroyed: plugins may call as long as it lives.
class ExitWatches {
 public:
  static ExitWatches& Get();

  // A watch to hand to a plugin.
  berth_exit_watch Add(OciExecutor::OnExit on_exit);
  // The operation failed: nobody will call.
  void Drop(const berth_exit_watch& watch);

 private:
  static void OnExit(void* ctx, const berth_container_exit* exit) noexcept;
  OciExecutor::OnExit Take(uint64_t number);

  std::mutex mutex_;
  uint64_t last_ = 0;
  std::map<uint64_t, OciExecutor::OnExit> waiting_;
};

}  // namespace berth

#endif  // BERTH_CORE_PLUGIN_EXIT_WATCHES_H_
