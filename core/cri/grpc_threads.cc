#include "core/cri/grpc_threads.h"

#include <grpc/grpc.h>
#include <grpc/support/cpu.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <vector>

namespace berth {
namespace {

// gRPC 1.51 starts another thread of its executor, of at most two for each processor, when more than two callbacks wait
// for one.
constexpr size_t kThreadsPerProcessor = 2, kWaitingPerThread = 3;

// Holds a thread of the executor until it is opened.
struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  size_t held = 0;

  void Hold() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return open; });
    if (--held == 0) changed.notify_all();
  }
  void Open() {
    std::unique_lock lock(mutex);
    open = true;
    changed.notify_all();
    changed.wait(lock, [this] { return held == 0; });
  }
};

struct Callback : grpc_completion_queue_functor {
  Callback() : grpc_completion_queue_functor{Run, 0, 0, nullptr} {}
  static void Run(grpc_completion_queue_functor* self, int /*ok*/) {
    static_cast<Callback*>(self)->gate.load(std::memory_order_acquire)->Hold();
  }
  // Atomic for thread sanitizer, which does not see the locks of gRPC that order a callback behind its start.
  std::atomic<Gate*> gate{nullptr};
};

}  // namespace

void StartGrpcThreads() {
  const size_t threads = kThreadsPerProcessor * std::max(1U, gpr_cpu_num_cores());  // as gRPC counts them
  Gate gate, ended;
  gate.held = threads * kWaitingPerThread;
  ended.held = 1;
  ended.open = true;
  std::vector<Callback> callbacks(gate.held);
  for (Callback& callback : callbacks) callback.gate.store(&gate, std::memory_order_release);
  Callback at_end;
  at_end.gate.store(&ended, std::memory_order_release);
  grpc_completion_queue* queue = grpc_completion_queue_create_for_callback(&at_end, nullptr);
  // Nobody is called: a batch without operations completes at once.
  grpc_channel* channel = grpc_lame_client_channel_create("", GRPC_STATUS_UNAVAILABLE, "");
  grpc_call* call =
      grpc_channel_create_call(channel, nullptr, GRPC_PROPAGATE_DEFAULTS, queue, grpc_slice_from_static_string("/"),
                               nullptr, gpr_inf_future(GPR_CLOCK_REALTIME), nullptr);
  for (Callback& callback : callbacks) grpc_call_start_batch(call, nullptr, 0, &callback, nullptr);
  gate.Open();
  grpc_call_unref(call);
  grpc_channel_destroy(channel);
  grpc_completion_queue_shutdown(queue);
  grpc_completion_queue_destroy(queue);
  ended.Open();
}

}  // namespace berth
