// Runs one command to its end: own process group, deadline, bounded output. posix_spawn, never fork.
#ifndef BERTH_CORE_BASE_SUBPROCESS_H_
#define BERTH_CORE_BASE_SUBPROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/unique_fd.h"

namespace berth {

struct Command {
  std::vector<std::string> argv;  // argv[0] is a path; nothing is looked up in PATH
  std::vector<std::string> env;   // the whole environment, KEY=VALUE
  std::string input;              // written to standard input, then end of file
  // Descriptors for the child: (ours, its number). All others are closed by O_CLOEXEC.
  std::vector<std::pair<int, int>> descriptors;
  int netns_fd = -1;                                          // network namespace to run in; -1: ours. Borrowed.
  std::vector<std::string> cgroup_directories;                // joined before the program starts
  std::string directory;                                      // working directory; "": ours
  int64_t deadline_ns = std::numeric_limits<int64_t>::max();  // CLOCK_MONOTONIC
  int cancel_fd = -1;                                         // readable: as if the deadline had passed. Borrowed.
  // Called with all of its standard output so far, each time there is more: what the command says it is ready for can
  // be begun before it has ended. The deadline waits for it. {}: nothing.
  std::function<void(const std::string& out)> on_output;
  uint64_t output_limit = 1 << 20;  // of each of stdout and stderr; what is beyond is read and dropped
};

struct CommandResult {
  int wait_status = 0;  // waitpid(2)
  std::string out, err;
  bool truncated = false;  // output_limit was reached
};

// Blocks until the command has ended. At the deadline its process group is killed by SIGKILL and the answer is
// kDeadlineExceeded (kCancelled by cancel_fd) with the tail of its stderr. A command that ended but left descendants
// holding its pipes is not waited for longer than a second. kNotFound when there is no such program.
absl::StatusOr<CommandResult> RunCommand(const Command& command);

// A command that has been started before it is known what its input is. Dropped, it is killed with its group.
class StartedCommand {
 public:
  // Of `command`, what a process is made of; the rest is Finish's.
  static absl::StatusOr<StartedCommand> Start(const Command& command);
  StartedCommand(StartedCommand&& other) noexcept { *this = std::move(other); }
  StartedCommand& operator=(StartedCommand&& other) noexcept;
  ~StartedCommand();

  pid_t pid() const { return pid_; }
  int pid_fd() const { return pid_fd_.get(); }  // readable once it has ended; -1: descriptors were exhausted
  bool HasEnded() const;
  // As RunCommand, once, with the input, the output's reader, the deadline and the limits of `command`.
  absl::StatusOr<CommandResult> Finish(const Command& command);

 private:
  StartedCommand() = default;

  pid_t pid_ = -1;  // -1: waited for
  UniqueFd in_, out_, err_, pid_fd_;
};

}  // namespace berth

#endif  // BERTH_CORE_BASE_SUBPROCESS_H_
