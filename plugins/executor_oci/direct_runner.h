// For tests: runs every command as a child of the test.
#ifndef BERTH_PLUGINS_EXECUTOR_OCI_DIRECT_RUNNER_H_
#define BERTH_PLUGINS_EXECUTOR_OCI_DIRECT_RUNNER_H_

#include "plugins/executor_oci/cli_executor.h"

namespace berth::executor_oci {

// Processes that a command leaves behind are the nearest subreaper's.
class DirectRunner : public CommandRunner {
 public:
  sdk::Result<sdk::SupervisedResult> RunSupervised(const sdk::Call& call,
                                                   const sdk::SupervisedCommand& command) override;
  sdk::Result<sdk::CommandResult> Spawn(const sdk::Call& call, const sdk::Command& command) override;
};

}  // namespace berth::executor_oci

#endif  // BERTH_PLUGINS_EXECUTOR_OCI_DIRECT_RUNNER_H_
