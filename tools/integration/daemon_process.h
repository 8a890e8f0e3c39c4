// One `berth serve` as a child process.
#ifndef BERTH_TOOLS_INTEGRATION_DAEMON_PROCESS_H_
#define BERTH_TOOLS_INTEGRATION_DAEMON_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/unique_fd.h"

namespace berth {

class DaemonProcess {
 public:
  // Starts `program serve --config config`; its output is appended to `log`. `environment` is added to PATH.
  static absl::StatusOr<DaemonProcess> Start(const std::string& program, const std::string& config,
                                             const std::string& log, const std::vector<std::string>& environment = {});
  // The same for any other daemon's command line.
  static absl::StatusOr<DaemonProcess> Start(std::vector<std::string> command_line, const std::string& log,
                                             const std::vector<std::string>& environment = {});
  // One that another process has started: a daemon's successor. Its exit status is not for us: it counts as 0. That it
  // crashed is seen by the first process of the tests' world.
  static DaemonProcess Adopt(pid_t pid);
  DaemonProcess() = default;
  DaemonProcess(DaemonProcess&& other) noexcept
      : pid_(std::exchange(other.pid_, 0)), handle_(std::move(other.handle_)) {}
  DaemonProcess& operator=(DaemonProcess&& other) noexcept {
    if (this != &other) {
      Kill();
      pid_ = std::exchange(other.pid_, 0);
      handle_ = std::move(other.handle_);
    }
    return *this;
  }
  ~DaemonProcess() { Kill(); }

  pid_t pid() const { return pid_; }  // 0: none

  // kill -9, and waits for the end.
  void Kill();

  // SIGTERM; answers the wait status. kDeadlineExceeded when it does not end in time: then it is killed.
  absl::StatusOr<int> Terminate(absl::Duration timeout);

  // Waits for it to end by itself.
  absl::StatusOr<int> WaitForEnd(absl::Duration timeout);

 private:
  bool HasEnded(int* status) const;

  pid_t pid_ = 0;
  UniqueFd handle_;  // of one that is not our child
};

}  // namespace berth

#endif  // BERTH_TOOLS_INTEGRATION_DAEMON_PROCESS_H_
