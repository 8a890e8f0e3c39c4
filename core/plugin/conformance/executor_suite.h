// What every OCI executor must do. In a test of the plugin's own, with the .so among its `data`:
//
//   INSTANTIATE_TEST_SUITE_P(Mine, ExecutorSuite, testing::Values(ExecutorUnderTest{
//       "plugins/mine/mine.so", &MakeConfig, &MakeBundle, R"({"args":["/bin/sleeper"],"cwd":"/"})", &Prepare}));
//
// Runs as root. The whole program enters a mount namespace of its own first and becomes the reaper of what executors
// leave, as a pod's supervisor is; supervised commands run as its children.
#ifndef BERTH_CORE_PLUGIN_CONFORMANCE_EXECUTOR_SUITE_H_
#define BERTH_CORE_PLUGIN_CONFORMANCE_EXECUTOR_SUITE_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "core/plugin/conformance/plugin_under_test.h"
#include "core/plugin/oci_executor.h"
#include "gtest/gtest.h"

namespace berth {

struct ExecutorUnderTest {
  std::string so;
  ConfigMaker config;
  // Writes a bundle into `directory`, which exists, for container `id`: its process runs until it is killed.
  std::function<void(const std::string& directory, const std::string& id)> bundle;
  std::string process;            // a runtime-spec `process` that runs in it until it is killed
  std::function<void()> prepare;  // what the machine needs first, once, in the mount namespace; may be empty
  // The memory limit that holds for container `id`, in bytes. Empty for an executor without update.
  std::function<int64_t(const std::string& id)> memory_limit;
};
inline void PrintTo(const ExecutorUnderTest& test, std::ostream* out) { *out << test.so; }

// Runs every command as a child of its own.
class DirectSupervisor : public SupervisorService {
 public:
  absl::StatusOr<SupervisedResult> Run(const Call& call, const SupervisedCommand& command) override;
};

class ExecutorSuite : public testing::TestWithParam<ExecutorUnderTest> {
 protected:
  ExecutorSuite();
  void SetUp() override;
  void TearDown() override;

  // A new instance, as after a restart.
  void Restart();
  // Waits for the exit of the container's or exec's process, by the way the executor reports it.
  int WaitForExit(pid_t pid);
  OciExecutor::OnExit OnExit();
  absl::StatusOr<pid_t> Create() { return executor_->Create(Call(), request_, OnExit()); }
  // Creates and starts; 0 if that failed, which is a failure of the test.
  pid_t Run();
  absl::StatusOr<pid_t> Exec(const std::string& id, const std::string& process);
  void ExpectState(ExecutorState state);
  bool Has(ExecutorCapability capability) const { return (executor_->capabilities() & capability) != 0; }

  DirectSupervisor supervisor_;
  PluginUnderTest plugin_;
  std::unique_ptr<OciExecutor> executor_;
  ContainerRequest request_;

 private:
  struct Exits;
  std::shared_ptr<Exits> exits_;
};

}  // namespace berth

#endif  // BERTH_CORE_PLUGIN_CONFORMANCE_EXECUTOR_SUITE_H_
