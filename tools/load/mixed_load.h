// A mixed load of CRI clients: each keeps one container running for as long as the load goes on, while pods come and
// go, commands run, limits change, logs are rotated and images are pulled and removed.
//
// The daemon may be killed and started again, or hand over to another, at any time under it.
#ifndef BERTH_TOOLS_LOAD_MIXED_LOAD_H_
#define BERTH_TOOLS_LOAD_MIXED_LOAD_H_

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tools/load/load_options.h"
#include "tools/load/load_report.h"

namespace berth {

class MixedLoad {
 public:
  explicit MixedLoad(LoadOptions options) : options_(std::move(options)) {}
  ~MixedLoad() { Stop(); }

  // The daemon serves, and has the image.
  void Start();
  // Ends every client's round, looks at what it kept running, and removes all that it made. The daemon serves, or soon
  // will. What was found wrong is in the report.
  void Stop();

  const LoadReport& report() const { return report_; }

 private:
  void RunClient(int number);

  const LoadOptions options_;
  LoadReport report_;
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

}  // namespace berth

#endif  // BERTH_TOOLS_LOAD_MIXED_LOAD_H_
