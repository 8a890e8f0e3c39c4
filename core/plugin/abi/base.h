/* The contract between the daemon and a plugin: what all kinds of plugins share. C11, valid C++.
 *
 * A plugin is one shared object that exports one symbol, `berth_module_v0`. Through its `query` the host gets one table
 * of functions per kind it implements (snapshotter.h, registry.h, network.h, executor.h). Version 0.x: it may change
 * until 1.0. Most authors want the C++ SDK (berth/sdk/...) instead.
 *
 * Rules for every function of these headers; a comment repeats one only to relax it.
 *  O1 Inputs are borrowed: valid until the function returns. Copy what you keep.
 *  O2 Results leave through a sink or a callback and are borrowed by its receiver for that one call. Memory is never
 *     freed by a side that did not allocate it. A sink is called at most once, unless it says "each".
 *  O3 A handle is destroyed by the table that made it, exactly once, after every call on it has returned.
 *  O4 An int32_t named *_fd is borrowed; one named owned_*_fd changes hands. All have O_CLOEXEC. -1: none.
 *  T1 Functions are called by any thread, several at a time. [main]: by the thread that starts and stops plugins,
 *     never two at once. [no-block]: must return promptly.
 *  T2 A plugin never forks, never calls setns, unshare, chdir, umask, setlocale or setenv, installs no signal handler
 *     and waits for no process it did not start: it shares its process with the daemon. Use berth_host's `spawn`.
 *  E1 A function that returns int32_t returns 0 or a canonical status code (BERTH_*); with a code it fills *err.
 *     `err` is never NULL. Text says what was attempted on what: "mount overlay on /x: No space left on device".
 *  E2 Nothing unwinds, longjmps or exits through these calls: a C++ exception that gets out ends the process, since
 *     each side has an unwinder of its own.
 *  V1 Every struct but the leaf types (berth_str, berth_pair, berth_id_mapping) starts with struct_size, set by whoever
 *     has its memory; a callee writes nothing of an `out` beyond it. Fields are only appended; one that is beyond
 *     struct_size counts as zero. Arrays of such structs are arrays of pointers. Reserved fields are zero.
 *  V2 A function pointer that is NULL, or beyond struct_size, is a function the plugin does not have: the host answers
 *     BERTH_UNIMPLEMENTED in its place. What must not be missing is marked [required].
 *  U1 Strings are UTF-8 without NUL bytes, not NUL-terminated, unless called bytes. Paths are absolute.
 *  U2 Two daemons may hold a plugin at once while one hands over to the other: files and locks must allow that.
 */
#ifndef BERTH_ABI_BASE_H_
#define BERTH_ABI_BASE_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BERTH_ABI_MAJOR 0 /* another major: another symbol */
#define BERTH_ABI_MINOR 1 /* something was appended */
#define BERTH_MAGIC 0x48545242u
#define BERTH_MODULE_SYMBOL "berth_module_v0"

/* True when the maker of *p knew field f. The only way to read a field that not every struct_size covers. */
#define BERTH_HAS(p, f) ((p)->struct_size >= offsetof(__typeof__(*(p)), f) + sizeof((p)->f))

/* Canonical status codes: gRPC's. */
#define BERTH_OK 0
#define BERTH_CANCELLED 1
#define BERTH_UNKNOWN 2
#define BERTH_INVALID_ARGUMENT 3
#define BERTH_DEADLINE_EXCEEDED 4
#define BERTH_NOT_FOUND 5
#define BERTH_ALREADY_EXISTS 6
#define BERTH_PERMISSION_DENIED 7
#define BERTH_RESOURCE_EXHAUSTED 8
#define BERTH_FAILED_PRECONDITION 9
#define BERTH_ABORTED 10
#define BERTH_OUT_OF_RANGE 11
#define BERTH_UNIMPLEMENTED 12
#define BERTH_INTERNAL 13
#define BERTH_UNAVAILABLE 14
#define BERTH_DATA_LOSS 15
#define BERTH_UNAUTHENTICATED 16

typedef struct berth_str {
  const char* data; /* may be NULL when size is 0 */
  uint64_t size;
} berth_str;

typedef struct berth_pair {
  berth_str key, value;
} berth_pair;

/* Filled by the callee in the caller's memory; no ownership, so it works when out of memory. */
typedef struct berth_error {
  uint32_t struct_size;
  int32_t code;      /* the same as the return value */
  int32_t sys_errno; /* the errno that caused it, or 0 */
  uint32_t size;     /* bytes used in text */
  char text[1008];   /* cut at the end of a UTF-8 character when it does not fit */
} berth_error;

/* The request that work belongs to. */
typedef struct berth_call {
  uint32_t struct_size;
  int32_t cancel_fd;   /* readable: give up. Only poll it, never read it. -1: never cancelled */
  int64_t deadline_ns; /* CLOCK_MONOTONIC; INT64_MAX: none */
  berth_str trace_id;  /* may be empty */
} berth_call;

/* Takes bytes in order. A code ends the operation: return it, with the same error. */
typedef struct berth_byte_sink {
  uint32_t struct_size, reserved;
  void* ctx;
  int32_t (*write)(void* ctx, const void* data, uint64_t size, berth_error* err); /* each */
} berth_byte_sink;

typedef struct berth_str_sink {
  uint32_t struct_size, reserved;
  void* ctx;
  void (*put)(void* ctx, berth_str text); /* each, where the function says so */
} berth_str_sink;

/* ---- configuration ----------------------------------------------------------------------------------------------
 * The plugin instance's TOML table as a tree of values. Values live as long as the instance. A key nobody looked at by
 * the time create() returns is reported to the operator as unknown. Thread-safe, [no-block]. */
typedef struct berth_value berth_value; /* the host's */

#define BERTH_VALUE_BOOL 1
#define BERTH_VALUE_INTEGER 2
#define BERTH_VALUE_FLOAT 3
#define BERTH_VALUE_STRING 4
#define BERTH_VALUE_ARRAY 5
#define BERTH_VALUE_TABLE 6

typedef struct berth_value_data {
  uint32_t struct_size;
  int32_t kind;    /* BERTH_VALUE_*: which of the following is set */
  int64_t integer; /* also for BOOL: 0 or 1 */
  double number;
  berth_str string;
  uint64_t count; /* elements of an array, entries of a table */
} berth_value_data;

/* ---- events ------------------------------------------------------------------------------------------------------ */
#define BERTH_TOPIC_POD 1u
#define BERTH_TOPIC_CONTAINER 2u
#define BERTH_TOPIC_IMAGE 4u
#define BERTH_TOPIC_SNAPSHOT 8u
#define BERTH_TOPIC_PLUGIN 16u

#define BERTH_EVENT_CREATED 0
#define BERTH_EVENT_STARTED 1
#define BERTH_EVENT_STOPPED 2
#define BERTH_EVENT_DELETED 3
#define BERTH_EVENT_CUSTOM 4

typedef struct berth_event {
  uint32_t struct_size;
  uint32_t topic; /* one BERTH_TOPIC_* */
  int32_t type;   /* BERTH_EVENT_* */
  uint32_t reserved;
  uint64_t sequence; /* grows by one with each event of the daemon */
  int64_t at_unix_ns;
  uint64_t lost_before; /* events this subscriber was too slow for, between the last one and this */
  berth_str id;         /* of the pod, container, image, snapshot; the name given to publish() for PLUGIN */
  berth_str payload;    /* bytes. POD, CONTAINER: encoded runtime.v1.ContainerEventResponse; PLUGIN: JSON */
} berth_event;

/* Called by a thread of the host's, one event at a time, from before subscribe() returns. A slow handler loses its own
 * events and delays nobody. It may not call unsubscribe. */
typedef struct berth_event_handler {
  uint32_t struct_size;
  uint32_t topics; /* BERTH_TOPIC_* or'ed */
  void* ctx;
  void (*on_event)(void* ctx, const berth_event* event);
} berth_event_handler;

/* ---- commands ----------------------------------------------------------------------------------------------------
 * A command runs in a process group of its own with nothing but the standard streams open. At the call's deadline or
 * cancellation the group is killed (BERTH_DEADLINE_EXCEEDED, BERTH_CANCELLED). */
typedef struct berth_command {
  uint32_t struct_size;
  int32_t netns_fd;      /* network namespace to run in; -1: the daemon's */
  const berth_str* argv; /* argv[0] is an absolute path; PATH is not searched */
  uint64_t argv_count;
  const berth_str* env; /* the whole environment, KEY=VALUE */
  uint64_t env_count;
  berth_str input;                     /* bytes for standard input, then end of file */
  berth_str directory;                 /* working directory; empty: / */
  const berth_str* cgroup_directories; /* absolute; joined by writing their cgroup.procs before the program starts */
  uint64_t cgroup_directory_count;
  uint64_t output_limit; /* bytes kept of each of stdout and stderr; 0: 1 MiB, at most 16 MiB. The rest is dropped */
} berth_command;

typedef struct berth_command_result {
  uint32_t struct_size;
  int32_t wait_status; /* waitpid(2) */
  berth_str out, err;  /* bytes */
  uint32_t truncated;  /* 1: output_limit was reached */
  uint32_t reserved;
} berth_command_result;

typedef struct berth_command_sink {
  uint32_t struct_size, reserved;
  void* ctx;
  void (*put)(void* ctx, const berth_command_result* result);
} berth_command_sink;

#define BERTH_SUPERVISED_PLAIN 0  /* wait for it, capture its output */
#define BERTH_SUPERVISED_CREATE 1 /* in the mounts prepared for the container, with the container's streams */
#define BERTH_SUPERVISED_EXEC 2   /* with the streams prepared for the exec */

/* A command in the pod's supervisor, a process that outlives the daemon and keeps what it starts. */
typedef struct berth_supervised_command {
  uint32_t struct_size;
  int32_t purpose; /* BERTH_SUPERVISED_* */
  berth_str pod_id, container_id, exec_id;
  const berth_str* argv;
  uint64_t argv_count;
  const berth_str* env;
  uint64_t env_count;
  berth_str pid_file; /* CREATE, EXEC: read once the command has ended */
} berth_supervised_command;

typedef struct berth_supervised_result {
  uint32_t struct_size;
  int32_t wait_status;
  int64_t pid;        /* from pid_file; 0: none was written */
  berth_str out, err; /* bytes: tails of at most 16 KiB */
} berth_supervised_result;

typedef struct berth_supervised_sink {
  uint32_t struct_size, reserved;
  void* ctx;
  void (*put)(void* ctx, const berth_supervised_result* result);
} berth_supervised_sink;

/* ---- host ----------------------------------------------------------------------------------------------------------
 * What the host does for one instance of a plugin. Outlives the instance; pass `ctx` to every function. All functions
 * are there. */
#define BERTH_LOG_DEBUG 0
#define BERTH_LOG_INFO 1
#define BERTH_LOG_WARN 2
#define BERTH_LOG_ERROR 3

typedef struct berth_host {
  uint32_t struct_size;
  uint16_t abi_major, abi_minor; /* the host's */
  void* ctx;
  berth_str instance; /* its name in the configuration: the module's, or a runtime handler's */
  berth_str root;     /* the daemon's directory for what survives a reboot (/var/lib/berth) */
  berth_str state;    /* and for what does not (/run/berth) */

  void (*log)(void* ctx, int32_t severity, berth_str message); /* [no-block]. No secrets */

  const berth_value* (*config)(void* ctx); /* the instance's table */
  void (*value_read)(void* ctx, const berth_value* value, berth_value_data* out);
  const berth_value* (*value_member)(void* ctx, const berth_value* table, berth_str key); /* NULL: no such key */
  const berth_value* (*value_item)(void* ctx, const berth_value* array, uint64_t index);  /* NULL: beyond the end */
  /* The entry at `index` of a table, ordered by key; NULL beyond the end. */
  const berth_value* (*value_entry)(void* ctx, const berth_value* table, uint64_t index, berth_str* key);

  /* An event of topic PLUGIN. `name`: [a-z0-9._-]{1,128}; `json`: at most 64 KiB, what is larger is dropped and logged.
   * [no-block] */
  void (*publish)(void* ctx, berth_str name, berth_str json);
  int32_t (*subscribe)(void* ctx, const berth_event_handler* handler, uint64_t* id, berth_error* err);
  void (*unsubscribe)(void* ctx, uint64_t id); /* returns when the handler does not run and never will again */

  /* Prometheus metrics, named berth_plugin_NAME with a label instance. `name` and label keys: [a-z][a-z0-9_]*.
   * [no-block] */
  void (*counter_add)(void* ctx, berth_str name, const berth_pair* labels, uint64_t label_count, double by);
  void (*gauge_set)(void* ctx, berth_str name, const berth_pair* labels, uint64_t label_count, double value);

  /* Both return 0 for a command that ran, however it ended. BERTH_NOT_FOUND: there is no such program. */
  int32_t (*spawn)(void* ctx, const berth_call* call, const berth_command* command, const berth_command_sink* out,
                   berth_error* err);
  int32_t (*supervise)(void* ctx, const berth_call* call, const berth_supervised_command* command,
                       const berth_supervised_sink* out, berth_error* err);

  /* A table of further services by its interface id, or NULL. */
  const void* (*query)(void* ctx, const char* interface_id);
} berth_host;

/* ---- module ------------------------------------------------------------------------------------------------------ */
typedef struct berth_module {
  uint32_t struct_size, magic;   /* BERTH_MAGIC */
  uint16_t abi_major, abi_minor; /* what this object was compiled against */
  uint32_t flags;                /* 0 */
  const char* name;              /* [required] [a-z0-9_-]{1,64}, NUL-terminated: the key in the configuration */
  const char* version;           /* [required] at most 64 bytes, NUL-terminated */
  /* Before anything else, once; `host` has no configuration and stays until shutdown() has returned. A code disables
   * the module. [main] */
  int32_t (*init)(const berth_host* host, berth_error* err);
  /* No operation will be started any more: stop work in the background. Calls in flight go on. [main] */
  void (*drain)(void);
  /* The last call, after every instance was destroyed. [main] */
  void (*shutdown)(void);
  /* [required] The table for an interface id ("berth.snapshotter/0"), static, or NULL. [no-block] */
  const void* (*query)(const char* interface_id);
} berth_module;

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* BERTH_ABI_BASE_H_ */
