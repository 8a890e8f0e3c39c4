// What the supervisor keeps of each container, exec and command.
#ifndef BERTH_CORE_SUPERVISOR_PROGRAM_CONTAINER_H_
#define BERTH_CORE_SUPERVISOR_PROGRAM_CONTAINER_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/supervisor/program/console.h"
#include "core/supervisor/program/log_writer.h"
#include "core/supervisor/program/loop.h"
#include "core/supervisor/program/stream.h"

namespace berth::supervisor {

// The numbers of SupervisedState in client.h.
enum class State : uint8_t { kPrepared = 0, kCreating = 1, kRunning = 2, kExited = 3, kFailed = 4 };

// A request to be answered later.
struct Waiting {
  uint64_t peer = 0, request = 0;
};

// A watched process: a container's first one or an exec's.
struct Process {
  State state = State::kPrepared;
  pid_t pid = 0;  // while it runs and until it is reaped
  UniqueFd pidfd;
  int wait_status = 0;
  int64_t exit_unix_ns = 0;
  uint64_t sequence = 0;  // of its exit event
  bool acknowledged = false;
};

struct Exec {
  std::string id;
  uint64_t owner = 0;  // the peer that prepared it
  Process process;
  bool terminal = false;
  UniqueFd in, out, err;  // for the process; let go of when its command has started
  UniqueFd peek_err;      // what a command that failed has said
  Console console;
  UniqueFd master;
};

// The short-lived child that holds the container's mount namespace.
struct Mounter {
  pid_t pid = 0;  // 0: none. Also its process group.
  UniqueFd socket;
  Watch watch;
  bool mounted = false;  // it has answered and waits for the command
  Waiting waiting;       // for that answer
  int64_t deadline = INT64_MAX;
};

struct Container {
  std::string id;
  Process process;
  bool terminal = false;
  Mounter mounter;
  Console console;
  UniqueFd stdin_hold;  // our end of its standard input
  LogWriter log;
  uint64_t reported_drops = 0;
  Tail create_out, create_err;  // what came before the executor's create ended
  Stream out, err;
  std::vector<std::unique_ptr<Exec>> execs;
};

struct Command {
  Waiting waiting;
  uint32_t purpose = wire::kPlain;
  std::string container_id, exec_id, pid_file;
  pid_t pid = 0;  // and process group
  int64_t deadline = INT64_MAX;
  uint32_t killed_for = wire::kOk;  // kDeadlineExceeded or kCancelled once it was killed
  UniqueFd failure;                 // says why the program could not be executed
  Tail out_tail, err_tail;
  Stream out, err;
};

}  // namespace berth::supervisor

#endif  // BERTH_CORE_SUPERVISOR_PROGRAM_CONTAINER_H_
