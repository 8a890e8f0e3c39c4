// The daemon: makes every part, connects them, and takes them down in the reverse order.
#ifndef BERTH_CORE_DAEMON_DAEMON_H_
#define BERTH_CORE_DAEMON_DAEMON_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/config/config.h"

namespace berth {

class Daemon {
 public:
  // Recovers what an earlier daemon left and serves; answers once the socket takes connections. An error names the part
  // that could not start; then nothing of it is left running.
  static absl::StatusOr<std::unique_ptr<Daemon>> Start(const Config& config, const std::string& version);
  // Stop(), unless that was called.
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Takes no new calls, lets those under way end for a bounded time, and leaves pods and containers running.
  void Stop();

 private:
  struct Parts;
  explicit Daemon(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace berth

#endif  // BERTH_CORE_DAEMON_DAEMON_H_
