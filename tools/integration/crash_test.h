// The fixture of tests that let the daemon die at a failpoint, and see what the next one makes of it.
#ifndef BERTH_TOOLS_INTEGRATION_CRASH_TEST_H_
#define BERTH_TOOLS_INTEGRATION_CRASH_TEST_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tools/integration/daemon_test.h"
#include "tools/integration/failpoint_file.h"

namespace berth {

inline constexpr char kTransientImage[] = "example.org/test/transient:1";

// One call, what has to be there before it, and what may be there after it was cut short.
struct CrashedOperation {
  std::string name;
  std::function<void()> prepare;
  // The call as a client makes it. Made again after a crash it has to succeed, or to say that it was done.
  std::function<absl::Status()> call;
  // After a crash and a restart: all or nothing.
  std::function<void()> check;
  // After it has succeeded.
  std::function<void()> expect_done;
};

class CrashTest : public DaemonTest {
 protected:
  // As DaemonTest's, with a daemon whose failpoints are steered and a second image that nobody has pulled.
  void SetUp() override;

  absl::Status StartSteered() { return StartDaemon(points_->Environment()); }
  // After a call that may have ended the daemon: whether it has, or does within some seconds.
  bool DaemonDied();
  // Starts the daemon at its points as they are set. True when it serves, false when it has died before.
  bool StartsToServe();
  // Kills what is left of the daemon and starts one that no point stops.
  void Recover();

  // Everything that the daemon lists becomes what it says.
  void ExpectConsistent();
  // Removes all pods, containers and the second image; then nothing is left.
  void RemoveAll();

  // What the operations of these tests do.
  std::vector<CrashedOperation> Operations();

  // A pod with one container: made, and started unless `start` is false.
  void MakeOne(const std::string& script, bool start = true);
  // By the configurations' names, also when the call that made them was not answered. "" when there is none.
  std::string PodNamed(const std::string& name);
  std::string ContainerNamed(const std::string& name);
  int PidOf(const std::string& container);
  bool ImageIsThere();

  std::unique_ptr<FailpointFile> points_;

 private:
  CrashedOperation RunPodSandbox();
  CrashedOperation CreateContainer();
  CrashedOperation StartContainerCall();
  CrashedOperation ExecSync();
  CrashedOperation StopContainerCall(int64_t grace_seconds);
  CrashedOperation ContainerExit();
  CrashedOperation RemoveContainerCall();
  CrashedOperation StopPodSandbox();
  CrashedOperation RemovePodSandbox();
  CrashedOperation PullImage();
  CrashedOperation RemoveImage();
  CrashedOperation UpdateContainerResources();
  CrashedOperation UpdatePodSandboxResources();
  CrashedOperation ReopenContainerLog();

  std::string Fault();
  std::string FaultOfPod(const std::string& id);
  std::string FaultOfContainer(const std::string& id);
  void ExpectOneContainer(cri::ContainerState state);
};

}  // namespace berth

#endif  // BERTH_TOOLS_INTEGRATION_CRASH_TEST_H_
