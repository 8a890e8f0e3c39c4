// Starts the supervisors' program.
#ifndef BERTH_CORE_SUPERVISOR_STARTER_H_
#define BERTH_CORE_SUPERVISOR_STARTER_H_

#include <cstdint>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "core/base/subprocess.h"
#include "core/base/unique_fd.h"

namespace berth {

// One program may be started ahead of its pod, the spare: it is there by the time that its pod comes, and waits to be
// told which it is. It holds nothing and ends by itself once the daemon, or this object, is gone. What a process
// inherits (cgroup, limits, OOM score) it has from the daemon as that was when the spare was started; all that is the
// pod's, namespaces too, is made when the pod comes.
//
// Thread-safe. The spare belongs to a thread here: the program asks to die with the thread that started it.
class SupervisorStarter {
 public:
  // `program`: see embedded.h.
  explicit SupervisorStarter(std::string program);
  ~SupervisorStarter();
  SupervisorStarter(const SupervisorStarter&) = delete;
  SupervisorStarter& operator=(const SupervisorStarter&) = delete;

  const std::string& program() const { return program_; }

  // From now on there is a spare; the next one once no pod has come for a moment, or, when one died of itself or could
  // not be started, after a minute.
  void KeepSpare();
  // The opposite: what has handed its pods over needs none.
  void KeepNoSpare();

  // RunCommand for the program of pod `id`, with the input, output, deadline and limits of `command`: the rest is the
  // starter's.
  absl::StatusOr<CommandResult> Run(const std::string& id, Command command);

 private:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  std::optional<StartedCommand> TakeSpare();
  void WakeUp() const;
  void Work();
  void StartSpare();
  void BuryDeadSpare();

  const std::string program_;
  const UniqueFd wake_;  // an eventfd
  std::mutex mutex_;
  std::optional<StartedCommand> spare_;
  int64_t due_ns_ = kNever;  // of the next spare
  bool keeps_spare_ = false, closing_ = false;
  std::thread thread_;  // starts when all else is there
};

}  // namespace berth

#endif  // BERTH_CORE_SUPERVISOR_STARTER_H_
