// What the clients of a load did and what they found wrong.
#ifndef BERTH_TOOLS_LOAD_LOAD_REPORT_H_
#define BERTH_TOOLS_LOAD_LOAD_REPORT_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace berth {

struct LoadCounts {
  std::atomic<uint64_t> calls{0};        // that were answered
  std::atomic<uint64_t> interrupted{0};  // that were not, because the daemon went away
  std::atomic<uint64_t> pods{0};         // run
  std::atomic<uint64_t> containers{0};   // started
  std::atomic<uint64_t> exit_codes{0};   // compared with what the container ended with
  std::atomic<uint64_t> log_lines{0};    // found exactly once
  std::atomic<uint64_t> execs{0}, updates{0}, rotations{0}, pulls{0};
};

// Thread-safe.
class LoadReport {
 public:
  LoadCounts& counts() { return counts_; }
  const LoadCounts& counts() const { return counts_; }

  // One thing that may not happen under any load. The first hundred are kept, all are counted.
  void Fault(std::string text) {
    std::lock_guard lock(mutex_);
    ++fault_count_;
    if (faults_.size() < 100) faults_.push_back(std::move(text));
  }
  std::vector<std::string> faults() const {
    std::lock_guard lock(mutex_);
    return faults_;
  }
  uint64_t fault_count() const {
    std::lock_guard lock(mutex_);
    return fault_count_;
  }

  // The counts on one line.
  std::string Summary() const;

 private:
  LoadCounts counts_;
  mutable std::mutex mutex_;
  std::vector<std::string> faults_;
  uint64_t fault_count_ = 0;
};

}  // namespace berth

#endif  // BERTH_TOOLS_LOAD_LOAD_REPORT_H_
