// A real supervisor under a real daemon's client, for the tests of this directory. Everything happens in a private
// mount namespace and below one temporary directory.
#ifndef BERTH_CORE_SUPERVISOR_SUPERVISOR_FIXTURE_H_
#define BERTH_CORE_SUPERVISOR_SUPERVISOR_FIXTURE_H_

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/supervisor/client.h"
#include "core/supervisor/starter.h"
#include "gtest/gtest.h"

namespace berth {

class Recorder : public SupervisorEvents {
 public:
  void OnExit(const std::string& pod_id, const SupervisedExit& exit) override;
  void OnGone(const std::string& pod_id) override;
  void OnLogDrops(const std::string& pod_id, const std::string& container_id, uint64_t lines) override;

  // The exit of this container or exec, waited for up to ten seconds.
  std::optional<SupervisedExit> WaitForExit(const std::string& container_id, const std::string& exec_id = "");
  bool WaitForGone();
  uint64_t WaitForDrops(const std::string& container_id);
  size_t exits_told();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, SupervisedExit> exits_;
  std::map<std::string, uint64_t> drops_;
  size_t told_ = 0;
  bool gone_ = false;
};

Call Within(int seconds);

class SupervisorTest : public testing::Test {
 protected:
  static void SetUpTestSuite();
  void SetUp() override;
  void TearDown() override;

  PodSpec Spec() const;  // new network, ipc, uts
  void Launch(const PodSpec& spec);
  void Reconnect();  // as a daemon that was killed

  ContainerPrepare Prepare(const std::string& id) const;  // the host's / read-only as rootfs
  // A "container": a shell command behind fake_executor that goes on at Start. Fails the test when it is not made.
  pid_t Create(const std::string& id, const std::string& script);
  void Start(const std::string& id);
  SupervisedCommand CreateCommand(const std::string& id, const std::string& script) const;
  SupervisedCommand ExecCommand(const std::string& id, const std::string& exec, const std::string& script) const;
  // Open in the supervisor once it is done with what it answered last.
  size_t Descriptors();
  std::string LogOf(const std::string& id) const;
  std::string Path(const std::string& name) const { return dir_ + "/" + name; }

  std::string dir_;
  std::unique_ptr<SupervisorStarter> starter_;
  std::unique_ptr<SupervisorLoop> loop_;
  Recorder events_;
  std::unique_ptr<Supervisor> supervisor_;
  PodSpec spec_;
};

// The command line of fake_executor.cc; console "-" is none.
std::vector<std::string> Executor(const std::string& pid_file, const std::string& console, const std::string& script);
std::string ReadText(const std::string& path);
// Lines of /proc/self/mountinfo, children of this process and of `pid`, descriptors of `pid`: for leak checks.
size_t CountMounts();
size_t CountDescriptors(pid_t pid);
std::vector<pid_t> ChildrenOf(pid_t pid);
bool Alive(pid_t pid);

}  // namespace berth

#endif  // BERTH_CORE_SUPERVISOR_SUPERVISOR_FIXTURE_H_
