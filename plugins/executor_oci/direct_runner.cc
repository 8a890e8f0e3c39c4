#include "plugins/executor_oci/direct_runner.h"

#include <fstream>

#include "core/base/subprocess.h"

namespace berth::executor_oci {
namespace {

sdk::Result<sdk::CommandResult> Run(const sdk::Call& call, const std::vector<std::string>& argv,
                                    const std::vector<std::string>& env) {
  Command command;
  command.argv = argv;
  command.env = env;
  command.deadline_ns = call.deadline_ns;
  const auto result = RunCommand(command);
  if (!result.ok()) {
    return sdk::Status(static_cast<sdk::Code>(result.status().code()), std::string(result.status().message()));
  }
  return sdk::CommandResult{result->wait_status, result->out, result->err, result->truncated};
}

}  // namespace

sdk::Result<sdk::SupervisedResult> DirectRunner::RunSupervised(const sdk::Call& call,
                                                               const sdk::SupervisedCommand& command) {
  BERTH_ASSIGN_OR_RETURN(const sdk::CommandResult result, Run(call, command.argv, command.env));
  pid_t pid = 0;
  if (!command.pid_file.empty()) std::ifstream(command.pid_file) >> pid;
  return sdk::SupervisedResult{result.wait_status, pid, result.out, result.err};
}

sdk::Result<sdk::CommandResult> DirectRunner::Spawn(const sdk::Call& call, const sdk::Command& command) {
  return Run(call, command.argv, command.env);
}

}  // namespace berth::executor_oci
