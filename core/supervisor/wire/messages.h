// Every message between the daemon and a pod's supervisor. The version changes with any change here; a newer daemon
// speaks the version that the supervisor answered in HelloReply.
#ifndef BERTH_CORE_SUPERVISOR_WIRE_MESSAGES_H_
#define BERTH_CORE_SUPERVISOR_WIRE_MESSAGES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace berth::wire {

inline constexpr uint32_t kVersion = 1;
inline constexpr char kSocketName[] = "supervisor.sock";
inline constexpr char kExitsName[] = "exits";
// What the process that was started says on its standard output: the pod is being set up; it is.
inline constexpr char kBegun = '.', kUp = '+';
// In the place of its pod's id, on the command line of a program that is started before it has one. As long as an id:
// the program overwrites it.
inline constexpr std::string_view kSpareName = "for-the-next-pod------------------------------------------------";
// What a command printed is kept up to this much, from its end.
inline constexpr size_t kTailLimit = 16 << 10;
inline constexpr int64_t kNoDeadline = -1;

// absl::StatusCode's numbers, which are gRPC's.
enum Code : uint32_t {
  kOk = 0,
  kCancelled = 1,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kMaxCode = 16,
};

enum class Type : uint16_t {
  kHello = 1,
  kPrepareContainer = 2,
  kPrepareExec = 3,
  kRun = 4,
  kTakeTerminal = 5,
  kSignal = 6,
  kKillExec = 7,
  kReopenLog = 8,
  kResize = 9,
  kForget = 10,
  kAcknowledge = 11,
  kList = 12,
  kCancel = 13,
  kShutdown = 14,
  // From the supervisor.
  kReply = 0x100,
  kExit = 0x101,
  kLogDrops = 0x102,
};

// Names of pods, containers and execs; they become file names.
inline bool IsName(std::string_view text) {
  if (text.empty() || text.size() > 128) return false;
  for (char c : text) {
    bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (!fine) return false;
  }
  return true;
}

// Given to the program on standard input.
struct Sysctl {
  std::string name, value;
  template <class A>
  void Fields(A& a) {
    a(name, value);
  }
};

// Ids [inside, inside + count) of a user namespace are [host, host + count) outside.
struct IdMapping {
  uint32_t inside = 0, host = 0, count = 0;
  template <class A>
  void Fields(A& a) {
    a(inside, host, count);
  }
};

// Read by a program of the daemon's own build: it may change without a new version.
struct LaunchSpec {
  uint32_t version = kVersion;
  std::string id, directory, build_id, hostname, user_ns_path, netns_pin, shm_path;
  bool new_network = false, new_ipc = false, new_uts = false, shared_pid = false;
  uint64_t shm_size = 0, descriptor_limit = 0;
  std::vector<Sysctl> sysctls;
  std::vector<IdMapping> uid_map, gid_map;
  template <class A>
  void Fields(A& a) {
    a(version, id, directory, build_id, hostname, user_ns_path, netns_pin, shm_path);
    a(new_network, new_ipc, new_uts, shared_pid, shm_size, descriptor_limit, sysctls, uid_map, gid_map);
  }
};

// First on each connection, with a descriptor of the daemon's mount namespace.
struct Hello {
  uint32_t version = kVersion;
  template <class A>
  void Fields(A& a) {
    a(version);
  }
};

struct HelloReply {
  uint32_t version = kVersion;
  std::string pod_id, build_id;
  int32_t pid = 0, init_pid = 0;
  template <class A>
  void Fields(A& a) {
    a(version, pod_id, build_id, pid, init_pid);
  }
};

struct Mount {
  std::string type, source, target;
  std::vector<std::string> options;
  template <class A>
  void Fields(A& a) {
    a(type, source, target, options);
  }
};

// Answered with ConsoleReply and the rootfs directory.
struct PrepareContainer {
  std::string id, rootfs, log_path;
  std::vector<Mount> mounts;
  bool bidirectional = false, terminal = false, stdin_open = false, stdin_once = false;
  int64_t timeout_ns = kNoDeadline;
  template <class A>
  void Fields(A& a) {
    a(id, rootfs, log_path, mounts, bidirectional, terminal, stdin_open, stdin_once, timeout_ns);
  }
};

// Answered with ConsoleReply and the daemon's ends of the pipes asked for, in this order.
struct PrepareExec {
  std::string container_id, exec_id;
  bool terminal = false, stdin_open = false, stdout_open = false, stderr_open = false;
  template <class A>
  void Fields(A& a) {
    a(container_id, exec_id, terminal, stdin_open, stdout_open, stderr_open);
  }
};

struct ConsoleReply {
  std::string console_socket;
  template <class A>
  void Fields(A& a) {
    a(console_socket);
  }
};

enum Purpose : uint32_t { kPlain = 0, kCreate = 1, kExec = 2 };

struct Run {
  uint32_t purpose = kPlain;
  std::string container_id, exec_id, pid_file;
  std::vector<std::string> argv, env;
  int64_t timeout_ns = kNoDeadline;
  template <class A>
  void Fields(A& a) {
    a(purpose, container_id, exec_id, pid_file, argv, env, timeout_ns);
  }
};

struct RunReply {
  int32_t wait_status = 0, pid = 0;
  std::string out, err;
  template <class A>
  void Fields(A& a) {
    a(wait_status, pid, out, err);
  }
};

// kTakeTerminal, kKillExec, kReopenLog, kForget.
struct Target {
  std::string container_id, exec_id;
  template <class A>
  void Fields(A& a) {
    a(container_id, exec_id);
  }
};

struct Signal {
  std::string container_id, exec_id;
  int32_t signal = 0;
  template <class A>
  void Fields(A& a) {
    a(container_id, exec_id, signal);
  }
};

struct Resize {
  std::string container_id;
  uint16_t columns = 0, rows = 0;
  template <class A>
  void Fields(A& a) {
    a(container_id, columns, rows);
  }
};

struct Acknowledge {
  uint64_t sequence = 0;
  template <class A>
  void Fields(A& a) {
    a(sequence);
  }
};

struct Cancel {
  uint64_t request = 0;
  template <class A>
  void Fields(A& a) {
    a(request);
  }
};

// Bodies of kList, kShutdown and of replies that say no more than OK.
struct Empty {
  template <class A>
  void Fields(A&) {}
};

struct ProcessEntry {
  std::string container_id, exec_id;
  uint8_t state = 0;  // SupervisedState
  int32_t pid = 0, wait_status = 0;
  int64_t exit_unix_ns = 0;
  uint64_t log_drops = 0;
  template <class A>
  void Fields(A& a) {
    a(container_id, exec_id, state, pid, wait_status, exit_unix_ns, log_drops);
  }
};

struct ListReply {
  std::vector<ProcessEntry> entries;
  template <class A>
  void Fields(A& a) {
    a(entries);
  }
};

// Body of a reply whose code is not kOk.
struct ErrorReply {
  std::string text;
  template <class A>
  void Fields(A& a) {
    a(text);
  }
};

struct Exit {
  uint64_t sequence = 0;
  std::string container_id, exec_id;
  int32_t wait_status = 0;
  int64_t at_unix_ns = 0;
  template <class A>
  void Fields(A& a) {
    a(sequence, container_id, exec_id, wait_status, at_unix_ns);
  }
};

struct LogDrops {
  std::string container_id;
  uint64_t lines = 0;
  template <class A>
  void Fields(A& a) {
    a(container_id, lines);
  }
};

}  // namespace berth::wire

#endif  // BERTH_CORE_SUPERVISOR_WIRE_MESSAGES_H_
