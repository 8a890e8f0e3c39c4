// The operator's API, berth.admin.v1, on a socket that only root can use.
#ifndef BERTH_CORE_DAEMON_ADMIN_SERVER_H_
#define BERTH_CORE_DAEMON_ADMIN_SERVER_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/base/work_queue.h"
#include "core/cri/open_calls.h"
#include "core/cri/server.h"

namespace berth {

struct DaemonStatus {
  std::string version, binary, socket;
  int64_t started_at = 0, open_calls = 0, pods = 0, containers = 0, images = 0;
};

struct Upgraded {
  pid_t pid = 0;
  std::string version;
};

// What the API is served from. Any thread.
class AdminActions {
 public:
  virtual ~AdminActions() = default;
  virtual DaemonStatus Status() = 0;
  virtual absl::StatusOr<Upgraded> Upgrade(const std::string& binary) = 0;  // blocks
};

class AdminServer {
 public:
  // Serves on `socket` once this returns. `actions` outlive it.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(const std::string& socket, AdminActions* actions);
  // Ends what is under way after a while.
  ~AdminServer();
  // The socket is a successor's from now on; calls under way go on.
  void LeaveSocket() { server_->LeaveSocket(); }

 private:
  class Service;
  AdminServer() = default;

  OpenCalls calls_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<ThreadPool> threads_;  // ends first: its tasks use the rest
  std::unique_ptr<CriServer> server_;
};

}  // namespace berth

#endif  // BERTH_CORE_DAEMON_ADMIN_SERVER_H_
