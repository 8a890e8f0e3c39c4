// The daemon's side of a pod supervisor: start one, or find one again after a restart, and ask it to do things.
//
// The supervisor is a process of its own (core/supervisor/program) that outlives the daemon. It holds the pod's
// namespaces, is the parent of everything that runs in the pod, owns standard streams and log files, and records each
// exit as a file before it tells anyone. This library never forks: the supervisor is started with posix_spawn.
//
// Threads: every method of Supervisor may be called by any thread, several at a time. Calls block the caller until the
// supervisor answered, the deadline passed, the call was cancelled or the supervisor is gone (kUnavailable).
#ifndef BERTH_CORE_SUPERVISOR_CLIENT_H_
#define BERTH_CORE_SUPERVISOR_CLIENT_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/unique_fd.h"
#include "core/plugin/call.h"
#include "core/plugin/oci_executor.h"
#include "core/plugin/snapshotter.h"

namespace berth {

// What a supervisor is started with.
struct PodSpec {
  std::string id;         // [A-Za-z0-9_-]{1,128}; Berth's ids are 64 hex digits
  std::string directory;  // /run/berth/pods/ID, made if missing (0700): supervisor.sock, exits/, console sockets
  bool new_network = false, new_ipc = false, new_uts = false;  // false: the daemon's own
  std::string hostname;                                        // set when new_uts
  // "net.ipv4.ip_forward" -> "1". Only what belongs to a namespace the pod owns; anything else is kInvalidArgument.
  std::vector<std::pair<std::string, std::string>> sysctls;
  // A user namespace of these maps, made and bind-mounted at user_ns_path (/run/berth/ns/ID/user, in a directory of its
  // own), owns the new ones. "" and no maps: the daemon's own.
  std::string user_ns_path;
  std::vector<IdMapping> uid_map, gid_map;
  bool shared_pid = false;  // start the hardened init of a pid namespace that containers join by pid_ns_path()
  std::string netns_pin;    // /run/netns/berth-ID: the network namespace is bind-mounted there; "" none
  std::string shm_path;     // directory (made if missing) where the pod's /dev/shm tmpfs is mounted; "" none
  uint64_t shm_size = 64 << 20;
  uint64_t descriptor_limit = 0;  // soft RLIMIT_NOFILE that containers start with; 0: the daemon's own
};

// Undoes what outlives a supervisor: unmounts (MNT_DETACH) and removes netns_pin, shm_path and user_ns_path. The
// supervisor never does this itself once it runs: teardown of the network needs the pin after it ended. Idempotent; OK
// for what is gone.
absl::Status ReleasePins(const PodSpec& spec);

// SIGKILL to the supervisor of this pod, for one that does not answer. OK when `pid` is no such process any more: its
// command line says whose it is, and it is killed by a descriptor that was opened before that was read.
absl::Status KillSupervisor(pid_t pid, const std::string& pod_id);

// Standard streams of a container and its CRI log (CHECKLIST: kubelet's log format).
struct StdioPlan {
  std::string log_path;  // absolute, parents exist; "" = output is drained and discarded
  bool terminal = false;
  bool stdin_open = false;  // CRI `stdin`: a held pipe; else /dev/null
  bool stdin_once = false;  // CRI `stdin_once`: for attach, which this version of the supervisor does not have
};

struct ContainerPrepare {
  std::string id;      // as PodSpec::id
  std::string rootfs;  // absolute: an existing directory in the bundle; what `mounts` with target "" cover
  // Mounted in order in a mount namespace that nobody else sees. Options as in fstab, bind, rbind and propagation flags
  // included ("ro" on a bind is applied by a remount). The option `x-berth.cwd=/DIR` names the directory that relative
  // paths in the others (overlay's lowerdir=1/fs:2/fs) start from; it is not handed to the kernel.
  // In a pod with a user namespace `x-berth.idmap` maps a bind by it, and `x-berth.idmap=/DIR` the tree at DIR, in
  // which the cwd is, for what is mounted from there. With `x-berth.beside` the target is in the directory that holds
  // rootfs.
  std::vector<RootfsMount> mounts;
  // A volume of the container has Bidirectional propagation: the clone stays a peer of the daemon's mounts, and only
  // the mount that holds the bundle is made private. Otherwise everything is made rslave.
  bool bidirectional = false;
  StdioPlan stdio;
};

struct PreparedContainer {
  UniqueFd rootfs;             // directory descriptor (O_RDONLY) inside the clone; close it before Forget
  std::string console_socket;  // for ContainerRequest::console_socket; "" without a terminal
};

struct ExecPrepare {
  std::string container_id, exec_id;  // exec_id as PodSpec::id, unique in its container
  bool terminal = false;
  bool stdin_open = false, stdout_open = true, stderr_open = true;  // false: /dev/null
};

struct PreparedExec {
  // Our ends of the exec's pipes, blocking; invalid when not asked for or with a terminal. Readers see the end of file
  // when the exec and all that inherited its streams are gone.
  UniqueFd in, out, err;
  std::string console_socket;  // for ExecRequest::console_socket; then TakeTerminal after Run
};

struct SupervisedExit {
  uint64_t sequence = 0;              // for Acknowledge
  std::string container_id, exec_id;  // exec_id is "" for the container itself
  int wait_status = 0;                // waitpid(2)
  int64_t at_unix_ns = 0;
};

// The exits that the supervisor of `directory` recorded, for when it is gone itself. Sequence numbers are 0. Execs that
// were acknowledged and containers that were forgotten have no record. OK and empty when there is no such directory.
absl::StatusOr<std::vector<SupervisedExit>> ReadExitRecords(const std::string& directory);

// Called on the loop's thread, never two at a time for one supervisor, possibly before Launch, Connect or Run has
// returned. Be short and make no calls that wait for the supervisor: hand over to a queue.
class SupervisorEvents {
 public:
  virtual ~SupervisorEvents() = default;
  // At least once for each exit, until it is acknowledged: commit it first, then Acknowledge.
  virtual void OnExit(const std::string& pod_id, const SupervisedExit& exit) = 0;
  // The supervisor's socket hung up without Shutdown. The last call for this Supervisor.
  virtual void OnGone(const std::string& pod_id) = 0;
  // Lines of the container's log that could not be written, in total.
  virtual void OnLogDrops(const std::string& pod_id, const std::string& container_id, uint64_t lines) = 0;
};

// One thread that reads from all supervisors. Outlives every Supervisor made with it.
class SupervisorLoop {
 public:
  static absl::StatusOr<std::unique_ptr<SupervisorLoop>> Start();
  ~SupervisorLoop();
  SupervisorLoop(const SupervisorLoop&) = delete;
  SupervisorLoop& operator=(const SupervisorLoop&) = delete;

  class Impl;
  Impl* impl() const { return impl_.get(); }

 private:
  explicit SupervisorLoop(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

enum class SupervisedState : uint8_t { kPrepared = 0, kCreating = 1, kRunning = 2, kExited = 3, kFailed = 4 };

// What the supervisor knows of one container or exec.
struct SupervisedProcess {
  std::string container_id, exec_id;
  SupervisedState state = SupervisedState::kPrepared;
  pid_t pid = 0;  // kRunning
  int wait_status = 0;
  int64_t exit_unix_ns = 0;  // kExited
  uint64_t log_drops = 0;
};

class Supervisor;
class SupervisorStarter;

// A supervisor that was asked whether it is there and has not answered yet. Dropping it hangs up, and nothing is told
// any more.
class SupervisorSearch {
 public:
  virtual ~SupervisorSearch() = default;
  // Of the process that listens; it may be stopped, or hang.
  virtual pid_t pid() const = 0;
  // `found` is being told, or has been.
  virtual bool over() const = 0;
  // As Supervisor::HangUp: it is told that there is none.
  virtual void HangUp() = 0;
};

struct FoundSupervisor {
  std::unique_ptr<Supervisor> supervisor;
  std::vector<SupervisedProcess> processes;  // as of Supervisor::List
};

class Supervisor {
 public:
  // Starts the program and returns when the pod's namespaces, pins and socket are there. On an error nothing is left.
  // kAlreadyExists when a supervisor of this directory lives: Connect to it. `meanwhile`, if any, is called once on
  // this thread, while the program sets the pod up, or after that if it does not say when it begins; it may not be
  // called when an error is returned.
  static absl::StatusOr<std::unique_ptr<Supervisor>> Launch(SupervisorLoop* loop, SupervisorStarter* starter,
                                                            const PodSpec& spec, SupervisorEvents* events,
                                                            const Call& call,
                                                            const std::function<void()>& meanwhile = nullptr);

  // Finds the supervisor of `directory` again. kNotFound: none is there (or it died). Unacknowledged exits follow as
  // events.
  static absl::StatusOr<std::unique_ptr<Supervisor>> Connect(SupervisorLoop* loop, const std::string& directory,
                                                             SupervisorEvents* events, const Call& call);

  // As Connect, but waits for nothing: `found` is called once, on the loop's thread, unless the search was dropped
  // before. kNotFound: none is there. kUnavailable: it does not take connections, which one that is stopped does not
  // for ever; ask again. Unacknowledged exits are events that may come before `found`. The search may be dropped in
  // `found`.
  using OnFound = std::function<void(absl::StatusOr<FoundSupervisor>)>;
  static absl::StatusOr<std::unique_ptr<SupervisorSearch>> Search(SupervisorLoop* loop, const std::string& directory,
                                                                  SupervisorEvents* events, OnFound found);

  // Hangs up: the supervisor and its pod go on. No event is delivered once this returned.
  virtual ~Supervisor() = default;

  virtual const std::string& pod_id() const = 0;
  virtual const std::string& build_id() const = 0;  // of the running program: its file's name after "supervisor-"
  virtual uint32_t protocol_version() const = 0;
  virtual pid_t pid() const = 0;
  virtual pid_t init_pid() const = 0;  // of the shared pid namespace; 0: not shared
  std::string net_ns_path() const { return NsPath("net"); }
  std::string ipc_ns_path() const { return NsPath("ipc"); }
  std::string uts_ns_path() const { return NsPath("uts"); }
  std::string pid_ns_path() const;  // "" when not shared

  // Sets up standard streams and starts the child that clones the daemon's mount namespace and mounts the rootfs there.
  // It waits for Run(kCreate) or Forget. At the deadline it is killed: a dead NFS server hangs nothing else.
  // kAlreadyExists for an id that is prepared or runs; one that failed or exited is replaced. `meanwhile`, if any, is
  // called on this thread while the supervisor is at work, unless it could not be asked.
  virtual absl::StatusOr<PreparedContainer> PrepareContainer(const Call& call, const ContainerPrepare& prepare,
                                                             const std::function<void()>& meanwhile = nullptr) = 0;

  // Pipes for one Run(kExec). kNotFound: no such container runs. One whose daemon hangs up before Run
  // is dropped; one that it left running is killed.
  virtual absl::StatusOr<PreparedExec> PrepareExec(const Call& call, const ExecPrepare& prepare) = 0;

  // Runs a command to its end, in its own process group, killed by SIGKILL at the deadline or when cancelled
  // (kDeadlineExceeded, kCancelled). A command that ran and failed is not an error of Run. argv[0] is a path.
  // kCreate takes the child of PrepareContainer, kExec the pipes of PrepareExec; each may be used once. When the
  // command succeeded and wrote its pid file, that process is watched from then on, even if it ended meanwhile. What
  // kCreate prints before it ended goes to the result, never to the log; a failed kExec's stderr too.
  virtual absl::StatusOr<SupervisedResult> Run(const Call& call, const SupervisedCommand& command) = 0;

  // The pty master of an exec with a terminal, once, after Run. Closing it hangs the terminal up.
  virtual absl::StatusOr<UniqueFd> TakeTerminal(const Call& call, const std::string& container_id,
                                                const std::string& exec_id) = 0;

  // exec_id "" means the container's first process. By pidfd. OK when it has ended already.
  virtual absl::Status Signal(const Call& call, const std::string& container_id, const std::string& exec_id,
                              int signal) = 0;
  // SIGKILL to an exec and to its process group, for a timeout. OK when it has ended already.
  virtual absl::Status KillExec(const Call& call, const std::string& container_id, const std::string& exec_id) = 0;

  // CRI ReopenContainerLog: opens log_path anew. On an error nothing was created and the old file stays in use.
  virtual absl::Status ReopenLog(const Call& call, const std::string& container_id) = 0;
  // Terminal size of a container. For execs use the master (TIOCSWINSZ).
  virtual absl::Status ResizeTerminal(const Call& call, const std::string& container_id, uint16_t columns,
                                      uint16_t rows) = 0;

  // Drops an exec, or a container with its execs, its exit records and its log. Ends what Prepare left waiting.
  // kFailedPrecondition while it runs; OK for an unknown one.
  virtual absl::Status Forget(const Call& call, const std::string& container_id, const std::string& exec_id) = 0;

  // The exit is safe in the daemon's records: it is not told again. For an exec this also forgets it.
  virtual absl::Status Acknowledge(uint64_t sequence) = 0;

  virtual absl::StatusOr<std::vector<SupervisedProcess>> List(const Call& call) = 0;

  // Asks for a sign of life without waiting for it. Answers how many calls before this one, in a row, nothing was heard
  // after: whoever calls at even intervals learns for how long a supervisor has been silent while it was asked to
  // speak.
  virtual int Beat() = 0;
  // Ends the connection as if the supervisor had: calls under way get kUnavailable, and OnGone is told.
  virtual void HangUp() = 0;

  // Ends the pid namespace's init and the supervisor. kFailedPrecondition while a container, exec or command runs.
  // Pins stay: see ReleasePins. The directory is the caller's to remove. OK when the supervisor is gone.
  virtual absl::Status Shutdown(const Call& call) = 0;

 protected:
  std::string NsPath(const char* kind) const;
};

}  // namespace berth

#endif  // BERTH_CORE_SUPERVISOR_CLIENT_H_
