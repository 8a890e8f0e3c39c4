// How many requests, and how many bytes of them, the daemon holds at a time. What comes beyond is refused before it is
// parsed: a flood of calls costs its clients an error and the node no memory.
#ifndef BERTH_CORE_CRI_REQUEST_BUDGET_H_
#define BERTH_CORE_CRI_REQUEST_BUDGET_H_

#include <cstddef>
#include <cstdint>
#include <mutex>

namespace berth {

// Thread-safe. A request is held from its arrival until nothing of its call is left.
class RequestBudget {
 public:
  // A node of 250 pods with 10 probes each has 2,500 calls open at the worst, of less than a KiB each.
  static constexpr size_t kMostRequests = 8192;
  static constexpr uint64_t kMostBytes = 64 << 20;

  explicit RequestBudget(size_t most_requests = kMostRequests, uint64_t most_bytes = kMostBytes)
      : most_requests_(most_requests), most_bytes_(most_bytes) {}

  // True: the request is held now, and given back by Return with the same size. The only one held may have any size.
  bool Take(uint64_t bytes);
  void Return(uint64_t bytes);
  size_t held() const;

 private:
  const size_t most_requests_;
  const uint64_t most_bytes_;
  mutable std::mutex mutex_;
  size_t requests_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace berth

#endif  // BERTH_CORE_CRI_REQUEST_BUDGET_H_
