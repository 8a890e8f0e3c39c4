// A CRI runtime under measurement: Berth, or an installed containerd, each in a throw-away place, with the same
// executor, the same CNI configuration and the same timing stand-ins before both.
#ifndef BERTH_TOOLS_BENCH_RUNTIME_H_
#define BERTH_TOOLS_BENCH_RUNTIME_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/bench/process_times.h"
#include "tools/integration/daemon_process.h"

namespace berth {

class Runtime {
 public:
  virtual ~Runtime() = default;
  virtual std::string name() const = 0;
  virtual std::string socket() const = 0;
  virtual std::string program() const = 0;
  virtual pid_t pid() const = 0;
  virtual std::string logs() const = 0;
  // What the stand-ins have written since the last call.
  virtual absl::StatusOr<std::vector<ProcessTime>> TakeTimes() = 0;
};

struct RuntimeOptions {
  std::string directory;  // to be made
  std::string runfiles;
  std::string tag;
  std::string executor = "/usr/bin/crun";
};

absl::StatusOr<std::unique_ptr<Runtime>> StartBerth(const RuntimeOptions& options);
// kNotFound when there is no containerd.
absl::StatusOr<std::unique_ptr<Runtime>> StartContainerd(const RuntimeOptions& options);

}  // namespace berth

#endif  // BERTH_TOOLS_BENCH_RUNTIME_H_
