#include "core/plugin/exit_watches.h"

#include <utility>

#include "core/base/log.h"
#include "core/plugin/abi_reader.h"

namespace berth {

ExitWatches& ExitWatches::Get() {
  static ExitWatches* const watches = new ExitWatches;
  return *watches;
}

berth_exit_watch ExitWatches::Add(OciExecutor::OnExit on_exit) {
  const std::lock_guard lock(mutex_);
  waiting_[++last_] = std::move(on_exit);
  return {sizeof(berth_exit_watch), 0, reinterpret_cast<void*>(static_cast<uintptr_t>(last_)), &ExitWatches::OnExit};
}

void ExitWatches::Drop(const berth_exit_watch& watch) { Take(reinterpret_cast<uintptr_t>(watch.ctx)); }

OciExecutor::OnExit ExitWatches::Take(uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto it = waiting_.find(number);
  if (it == waiting_.end()) return {};
  OciExecutor::OnExit out = std::move(it->second);
  waiting_.erase(it);
  return out;
}

void ExitWatches::OnExit(void* ctx, const berth_container_exit* exit) noexcept {
  try {
    AbiReader reader;
    if (!reader.Struct(exit, "the exit")) {
      LogError("plugin reports an exit that is none", {{"error", reader.fault()}});
      return;
    }
    const OciExecutor::OnExit on_exit = Get().Take(reinterpret_cast<uintptr_t>(ctx));
    if (on_exit) on_exit({exit->wait_status, exit->at_unix_ns});
  } catch (...) {
    LogError("an exit reported by a plugin was lost: out of memory");
  }
}

}  // namespace berth
