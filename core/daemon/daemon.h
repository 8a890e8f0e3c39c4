// The daemon: makes every part, connects them, hands them over to a successor, and takes them down in the reverse
// order.
#ifndef BERTH_CORE_DAEMON_DAEMON_H_
#define BERTH_CORE_DAEMON_DAEMON_H_

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/unique_fd.h"
#include "core/config/config.h"
#include "core/daemon/admin_server.h"
#include "core/daemon/hand_over.h"
#include "core/daemon/hand_over_channel.h"
#include "core/daemon/parts.h"
#include "core/daemon/service_manager.h"
#include "core/daemon/watchdog.h"

namespace berth {

struct DaemonOptions {
  std::string version;
  std::string config_path, config_text;  // what `config` was read from
  ServiceManager* manager = nullptr;     // outlives the daemon
  // As a successor: the one who started it, and the socket that it has. Outlives Start.
  HandOverChannel* predecessor = nullptr;
  UniqueFd listener;
};

class Daemon : public AdminActions {
 public:
  // Recovers what an earlier daemon left and serves; answers once the socket takes connections. An error names the part
  // that could not start; then nothing of it is left running.
  static absl::StatusOr<std::unique_ptr<Daemon>> Start(const Config& config, DaemonOptions options);
  // Stop(), unless that was called.
  ~Daemon() override;
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Hands over to a successor, see HandingOver. "": the binary this daemon was started from. Blocks; any thread.
  absl::StatusOr<Upgraded> Upgrade(const std::string& binary) override;
  DaemonStatus Status() override;
  // The same without waiting; what comes of it is in the log. One thread, not after Stop.
  void UpgradeLater();

  // Readable once a daemon that has handed over has nothing left to do: it is to be stopped.
  int done_fd() const { return done_.get(); }
  // Whether it ends because nobody serves any more.
  bool lost() const { return lost_; }

  // Takes no new calls, lets those under way end for a bounded time, and leaves pods and containers running.
  void Stop();

 private:
  explicit Daemon(DaemonOptions options);
  absl::Status TakeOver();
  absl::Status Open();
  absl::Status StartAdmin();
  void StartWatchdog();
  // UniqueFd of our path among those that the service manager has passed.
  UniqueFd PassedListener();
  // Of a daemon that has handed over: until its clients have gone elsewhere.
  void Retire(std::unique_ptr<Successor> successor);
  bool WaitUntilStopped(int64_t deadline_ns);

  DaemonOptions options_;
  std::string binary_;
  int64_t started_at_ = 0;
  std::unique_ptr<DaemonParts> parts_;
  std::unique_ptr<AdminServer> admin_;
  std::unique_ptr<Watchdog> watchdog_;
  UniqueFd done_;
  std::atomic<bool> lost_{false}, asked_{false};
  std::mutex upgrade_mutex_;
  bool handed_over_ = false;  // guarded by it
  std::mutex stop_mutex_;
  std::condition_variable stop_changed_;
  bool stopping_ = false;  // guarded by stop_mutex_
  std::thread retiring_, upgrading_;
};

}  // namespace berth

#endif  // BERTH_CORE_DAEMON_DAEMON_H_
