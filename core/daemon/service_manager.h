// The service manager that started the daemon, spoken to in systemd's protocol: sd_notify(3), sd_listen_fds(3),
// sd_watchdog_enabled(3). Without one everything here does nothing.
#ifndef BERTH_CORE_DAEMON_SERVICE_MANAGER_H_
#define BERTH_CORE_DAEMON_SERVICE_MANAGER_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "core/base/unique_fd.h"

namespace berth {

// Thread-safe but for the Take methods.
class ServiceManager {
 public:
  ServiceManager() = default;
  // Reads the variables of its protocol and removes them from the environment: they are for this process alone. Before
  // the first thread starts.
  static ServiceManager FromEnvironment();

  bool present() const { return !socket_.empty(); }
  // 0: it wants no signs of life.
  int64_t watchdog_ns() const { return watchdog_ns_; }

  // The sockets that it has passed: those of a socket unit, and those that an earlier daemon has left with it.
  std::vector<UniqueFd> TakeSockets() { return std::move(sockets_); }

  void Ready(absl::string_view status) const;
  // Ready, or another process as the main one, has to follow.
  void Reloading() const;
  void Stopping() const { Send("STOPPING=1"); }
  void Alive() const { Send("WATCHDOG=1"); }
  void MainProcess(pid_t pid) const;
  // It keeps a copy, also while no daemon runs, and passes it to the next. False when that was not even sent.
  bool Keep(absl::string_view name, int fd) const;

  // For a successor, which it takes for the same service.
  std::vector<std::string> EnvironmentForSuccessor() const;

 private:
  bool Send(absl::string_view text, int fd = -1) const;

  std::string socket_;  // "": none
  int64_t watchdog_ns_ = 0;
  std::vector<UniqueFd> sockets_;
};

}  // namespace berth

#endif  // BERTH_CORE_DAEMON_SERVICE_MANAGER_H_
