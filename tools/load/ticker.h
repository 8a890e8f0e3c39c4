// A container that runs as long as its client and writes one numbered line after the other: whatever happens to the
// daemon, it keeps its process, and its log is without a gap.
#ifndef BERTH_TOOLS_LOAD_TICKER_H_
#define BERTH_TOOLS_LOAD_TICKER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tools/load/load_options.h"
#include "tools/load/patient_client.h"

namespace berth {

// One thread. Each method that returns an error has found something wrong.
class Ticker {
 public:
  // `options`, `client` and `report` outlive it.
  Ticker(const LoadOptions& options, const std::string& name, PatientClient* client, LoadReport* report);

  absl::Status Start();
  // It is the process that it was, and its log is whole.
  absl::Status Check();
  // Its log grows: waits until a line comes that was not there.
  absl::Status ExpectAlive();
  // What one can do with a running container.
  absl::Status Exec(uint64_t number);
  absl::Status Update(uint64_t number);
  absl::Status RotateLog();
  // Ends it by its stop signal, looks at its exit code and its whole log, and removes the pod.
  absl::Status Finish();

 private:
  const LoadOptions& options_;
  PatientClient* const client_;
  LoadReport* const report_;
  const cri::PodSandboxConfig pod_config_;
  std::string pod_, container_;
  int pid_ = 0;
  int64_t started_at_ = 0;
  std::vector<std::string> logs_;  // the files of the log, the oldest first
};

}  // namespace berth

#endif  // BERTH_TOOLS_LOAD_TICKER_H_
