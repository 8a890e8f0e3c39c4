// The fixture of tests that drive the real daemon over its socket. Everything a test leaves is reported by name.
#ifndef BERTH_TOOLS_INTEGRATION_DAEMON_TEST_H_
#define BERTH_TOOLS_INTEGRATION_DAEMON_TEST_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/cri/client/cri_client.h"
#include "tools/integration/daemon_process.h"
#include "tools/integration/leak_check.h"
#include "tools/integration/place.h"

namespace berth {

// `ASSERT_OK(expr)`, `EXPECT_OK(expr)` for Status and StatusOr; `EXPECT_CODE(expr, kNotFound)`.
inline absl::Status StatusOf(const absl::Status& status) { return status; }
template <typename T>
absl::Status StatusOf(const absl::StatusOr<T>& value) {
  return value.status();
}
#define ASSERT_OK(expr) ASSERT_EQ(::berth::StatusOf(expr), absl::OkStatus())
#define EXPECT_OK(expr) EXPECT_EQ(::berth::StatusOf(expr), absl::OkStatus())
#define EXPECT_CODE(expr, Code)                                                     \
  do {                                                                              \
    const absl::Status got = ::berth::StatusOf(expr);                               \
    EXPECT_EQ(got.code(), absl::StatusCode::Code) << #expr << " answered: " << got; \
    EXPECT_TRUE(got.ok() || !got.message().empty()) << #expr << " gives no reason"; \
  } while (false)

// A container's log as the kubelet reads it: one entry for each line.
struct LogLine {
  std::string time, stream, tag, text;
};

class DaemonTest : public testing::Test {
 protected:
  DaemonTest() = default;
  explicit DaemonTest(PlaceOptions options) : options_(std::move(options)) {}

  // Starts a daemon in a place of its own, pulls the test image and notes what exists.
  void SetUp() override;
  // Nothing may be left, and the daemon ends by SIGTERM with status 0.
  void TearDown() override;

  // The steps of SetUp, for tests that need something in between.
  void MakePlace();
  absl::Status StartDaemon(const std::vector<std::string>& environment = {});
  void PullTestImage();
  void NoteWhatExists();
  // After a test's last step: no pod, no container, nothing that was not there before.
  void ExpectNothingLeft();

  void KillDaemon() { daemon_.Kill(); }
  absl::Status RestartDaemon() {
    daemon_.Kill();
    return StartDaemon();
  }

  CriClient& client() { return *client_; }
  std::string DaemonLog() const;
  // A machine of tools/lab, where processes start slowly: long tests take a sample of what they do elsewhere.
  static bool OnTheLabsMachine();

  // Configurations that name everything after `name`.
  cri::PodSandboxConfig PodConfig(const std::string& name) const;
  static cri::ContainerConfig ContainerConfig(const std::string& name, const std::vector<std::string>& command);
  static cri::ContainerConfig ShellConfig(const std::string& name, const std::string& script) {
    return ContainerConfig(name, {"/bin/sh", "-c", script});
  }

  // The calls that most tests make, without their messages.
  absl::StatusOr<std::string> RunPod(const cri::PodSandboxConfig& config, const std::string& handler = "");
  absl::StatusOr<std::string> Create(const std::string& pod, const cri::PodSandboxConfig& pod_config,
                                     const cri::ContainerConfig& config);
  absl::Status StartContainer(const std::string& id);
  absl::Status StopContainer(const std::string& id, int64_t grace_seconds);
  absl::Status RemoveContainer(const std::string& id);
  absl::Status StopPod(const std::string& id);
  absl::Status RemovePod(const std::string& id);
  absl::StatusOr<cri::ContainerStatus> Status(const std::string& id);
  absl::StatusOr<cri::PodSandboxStatus> PodStatus(const std::string& id);
  absl::StatusOr<cri::ExecSyncResponse> Exec(const std::string& id, const std::vector<std::string>& command,
                                             int64_t timeout_seconds = 30);
  absl::StatusOr<std::string> Pull(const std::string& reference);
  // Waits until the container has this state.
  absl::StatusOr<cri::ContainerStatus> WaitFor(const std::string& id, cri::ContainerState state);

  // A pod with one container that was started; for tests of what comes after.
  void RunOne(const std::string& script, const std::string& handler = "");
  // Runs `script` in a container of its own to its end: its log, stdout's text joined.
  std::string OutputOf(const std::string& script);

  std::vector<LogLine> ReadLog(const cri::PodSandboxConfig& pod, const std::string& container) const;

  PlaceOptions options_;
  std::optional<Place> place_;
  DaemonProcess daemon_;
  std::unique_ptr<CriClient> client_;
  std::optional<LeakCheck> leaks_;
  LeakCheck::Snapshot before_;

  cri::PodSandboxConfig pod_config_;  // of RunOne
  std::string pod_, container_;
};

}  // namespace berth

#endif  // BERTH_TOOLS_INTEGRATION_DAEMON_TEST_H_
