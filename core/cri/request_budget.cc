#include "core/cri/request_budget.h"

namespace berth {

bool RequestBudget::Take(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  if (requests_ > 0 && (requests_ >= most_requests_ || bytes_ + bytes > most_bytes_)) return false;
  ++requests_;
  bytes_ += bytes;
  return true;
}

void RequestBudget::Return(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  --requests_;
  bytes_ -= bytes;
}

size_t RequestBudget::held() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

}  // namespace berth
