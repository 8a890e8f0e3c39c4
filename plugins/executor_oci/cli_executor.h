// An OCI executor that is a command line: `crun create`, `runc start`. It keeps no state of its own; the runtime keeps
// its under `root`.
#ifndef BERTH_PLUGINS_EXECUTOR_OCI_CLI_EXECUTOR_H_
#define BERTH_PLUGINS_EXECUTOR_OCI_CLI_EXECUTOR_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "berth/sdk/oci_executor.h"

namespace berth::executor_oci {

struct Settings {
  std::string binary;             // absolute
  std::string root;               // absolute; the runtime's state
  std::vector<std::string> args;  // global options, before the command
  int64_t timeout_seconds = 120;  // of one command
};

// Runs commands; the host in the plugin, a script in tests. Any thread.
class CommandRunner {
 public:
  virtual ~CommandRunner() = default;
  virtual sdk::Result<sdk::SupervisedResult> RunSupervised(const sdk::Call& call,
                                                           const sdk::SupervisedCommand& command) = 0;
  virtual sdk::Result<sdk::CommandResult> Spawn(const sdk::Call& call, const sdk::Command& command) = 0;
};

// Methods as in berth/sdk/oci_executor.h. Any thread.
class CliExecutor {
 public:
  // kFailedPrecondition when `binary` is no program. Makes `root` (0700).
  static sdk::Result<std::unique_ptr<CliExecutor>> Open(Settings settings, std::unique_ptr<CommandRunner> runner);

  sdk::Result<sdk::ExecutorFeatures> Features(const sdk::Call& call);
  sdk::Result<pid_t> Create(const sdk::Call& call, const sdk::ContainerRequest& request);
  sdk::Status Start(const sdk::Call& call, const sdk::ContainerRequest& request);
  sdk::Status Kill(const sdk::Call& call, const sdk::ContainerRequest& request, int signal, bool all);
  sdk::Status Delete(const sdk::Call& call, const sdk::ContainerRequest& request);
  sdk::Result<pid_t> Exec(const sdk::Call& call, const sdk::ExecRequest& request);
  sdk::Status Update(const sdk::Call& call, const sdk::ContainerRequest& request, const std::string& resources_json);
  sdk::Status Pause(const sdk::Call& call, const sdk::ContainerRequest& request);
  sdk::Status Resume(const sdk::Call& call, const sdk::ContainerRequest& request);
  sdk::Result<sdk::ExecutorContainer> State(const sdk::Call& call, const sdk::ContainerRequest& request);

 private:
  // Which file `binary` was: a package upgrade replaces it.
  struct Identity {
    dev_t device = 0;
    ino_t inode = 0;
    int64_t size = 0, changed_ns = 0;
    bool operator==(const Identity&) const = default;
  };

  CliExecutor(Settings settings, std::unique_ptr<CommandRunner> runner)
      : settings_(std::move(settings)), runner_(std::move(runner)) {}

  std::vector<std::string> Argv(std::vector<std::string> rest) const;
  sdk::Status NotRun(const sdk::Status& status, const std::string& what) const;
  sdk::Status Failed(const std::string& command, const std::string& id, int wait_status, const std::string& err) const;
  sdk::Result<Identity> BinaryIdentity() const;
  sdk::Result<pid_t> CreateOnce(const sdk::Call& call, const sdk::ContainerRequest& request);
  sdk::Result<pid_t> RunWithPid(const sdk::Call& call, const std::string& name, sdk::SupervisedCommand command);
  sdk::Result<std::string> RunInPod(const sdk::Call& call, const std::string& pod_id, const std::string& id,
                                    std::vector<std::string> words);
  sdk::Result<std::string> RunAnywhere(const sdk::Call& call, const sdk::ContainerRequest& request,
                                       std::vector<std::string> words);
  sdk::Result<std::string> RunHere(const sdk::Call& call, const std::string& id, std::vector<std::string> words);
  void RemoveLeftovers(const std::string& id) const;

  const Settings settings_;
  const std::unique_ptr<CommandRunner> runner_;
  std::mutex mutex_;
  Identity features_of_;
  std::optional<sdk::ExecutorFeatures> features_;
};

}  // namespace berth::executor_oci

#endif  // BERTH_PLUGINS_EXECUTOR_OCI_CLI_EXECUTOR_H_
