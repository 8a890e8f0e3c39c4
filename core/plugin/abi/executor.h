/* OCI executor: turns a bundle (runtime-spec bundle.md) into a running container.
 *
 * One that runs a command line (crun, runc) has the capability SUPERVISED: it starts its commands with the host's
 * `supervise`, in the pod's supervisor, which owns mounts, standard streams and exit codes, so that these outlive the
 * daemon; its exits are seen there. Exit watches are for executors without it (a virtual machine).
 */
#ifndef BERTH_ABI_EXECUTOR_H_
#define BERTH_ABI_EXECUTOR_H_

#include "berth/abi/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BERTH_EXECUTOR "berth.oci-executor/0"

/* Capabilities. */
#define BERTH_EXECUTOR_SUPERVISED 1u /* containers are children of the pod's supervisor */
#define BERTH_EXECUTOR_SANDBOX 2u    /* start_sandbox etc. are to be called: it owns a machine */
#define BERTH_EXECUTOR_CHECKPOINT 4u /* checkpoint and restore */

typedef struct berth_container_request {
  uint32_t struct_size, reserved;
  berth_str id, pod_id;
  berth_str bundle;         /* config.json is in it */
  berth_str pid_file;       /* the executor's command writes the container's pid there */
  berth_str console_socket; /* empty without a tty */
} berth_container_request;

typedef struct berth_exec_request {
  uint32_t struct_size, reserved;
  berth_str container_id, exec_id, pod_id;
  berth_str process_file; /* a runtime-spec `process` object */
  berth_str pid_file, console_socket;
} berth_exec_request;

typedef struct berth_container_exit {
  uint32_t struct_size;
  int32_t wait_status; /* waitpid(2) */
  int64_t at_unix_ns;
} berth_container_exit;

/* Called exactly once for each create, exec or reattach that succeeded with one, by any thread, possibly before that
 * function has returned. NULL is passed where nobody waits. */
typedef struct berth_exit_watch {
  uint32_t struct_size, reserved;
  void* ctx;
  void (*on_exit)(void* ctx, const berth_container_exit* exit); /* [no-block] */
} berth_exit_watch;

#define BERTH_EXECUTOR_CREATING 0
#define BERTH_EXECUTOR_CREATED 1
#define BERTH_EXECUTOR_RUNNING 2
#define BERTH_EXECUTOR_PAUSED 3
#define BERTH_EXECUTOR_STOPPED 4

typedef struct berth_container_state {
  uint32_t struct_size;
  int32_t state; /* BERTH_EXECUTOR_CREATING ... */
  int64_t pid;   /* 0: none */
} berth_container_state;

typedef struct berth_executor_features {
  uint32_t struct_size;
  uint32_t id_mapped_mounts, recursive_read_only; /* 0 or 1 */
  uint32_t reserved;
  berth_str name, version;   /* "crun", "1.8.1" */
  berth_str oci_version_max; /* highest ociVersion it accepts; empty: unknown */
  berth_str json;            /* `features` output, runtime-spec features.md; empty: it has none */
} berth_executor_features;

typedef struct berth_executor_features_sink {
  uint32_t struct_size, reserved;
  void* ctx;
  void (*put)(void* ctx, const berth_executor_features* features);
} berth_executor_features_sink;

/* Of a container in a machine of its own: what the host cannot read from its cgroup. */
typedef struct berth_container_stats {
  uint32_t struct_size, reserved;
  int64_t at_unix_ns;
  uint64_t cpu_ns;                                                     /* since the container started */
  uint64_t memory_bytes, memory_working_set_bytes, memory_limit_bytes; /* limit 0: none */
  uint64_t pids;
} berth_container_stats;

typedef struct berth_sandbox_request {
  uint32_t struct_size;
  int32_t netns_fd; /* -1: the host's network, or gone */
  berth_str pod_id;
  berth_str directory;  /* the pod's under the state directory */
  berth_str netns_path; /* empty as netns_fd */
  berth_str cgroup_path;
  const berth_pair* annotations;
  uint64_t annotation_count;
} berth_sandbox_request;

/* For a container or, with a non-empty exec_id, one exec in it. */
typedef struct berth_resize_request {
  uint32_t struct_size;
  uint16_t columns, rows;
  berth_str pod_id, container_id, exec_id;
} berth_resize_request;

typedef struct berth_checkpoint_request {
  uint32_t struct_size;
  uint32_t leave_running; /* 0 or 1 */
  const berth_container_request* container;
  berth_str image_directory; /* exists: written by checkpoint, read by restore */
  berth_str work_directory;  /* exists: for logs */
} berth_checkpoint_request;

typedef struct berth_executor {
  uint32_t struct_size, reserved;
  int32_t (*create)(const berth_host* host, void** out, berth_error* err); /* [required] [main] */
  void (*destroy)(void* self);                                             /* [required] [main] */

  uint64_t (*capabilities)(void* self); /* constant; [no-block] */
  int32_t (*features)(void* self, const berth_call* call, const berth_executor_features_sink* out, berth_error* err);

  /* [required] The container's first process waits for start_container. All or nothing. */
  int32_t (*create_container)(void* self, const berth_call* call, const berth_container_request* request,
                              const berth_exit_watch* watch, int64_t* pid, berth_error* err);
  int32_t (*start_container)(void* self, const berth_call* call, const berth_container_request* request,
                             berth_error* err); /* [required] */
  /* [required] all != 0: every process of the container, not only the first. 0 when there is none any more. */
  int32_t (*kill)(void* self, const berth_call* call, const berth_container_request* request, int32_t sig, int32_t all,
                  berth_error* err);
  /* [required] Removes all traces, killing what still runs. Idempotent; 0 for a container it never knew. */
  int32_t (*delete_container)(void* self, const berth_call* call, const berth_container_request* request,
                              berth_error* err);
  int32_t (*exec)(void* self, const berth_call* call, const berth_exec_request* request, const berth_exit_watch* watch,
                  int64_t* pid, berth_error* err); /* [required] */
  /* resources_json: runtime-spec linux.resources. What it does not name stays as it is. The host puts back by another
   * update what an update that failed has changed. */
  int32_t (*update)(void* self, const berth_call* call, const berth_container_request* request,
                    berth_str resources_json, berth_error* err);
  int32_t (*pause)(void* self, const berth_call* call, const berth_container_request* request, berth_error* err);
  int32_t (*resume)(void* self, const berth_call* call, const berth_container_request* request, berth_error* err);
  /* [required] NOT_FOUND for a container it does not know. */
  int32_t (*state)(void* self, const berth_call* call, const berth_container_request* request,
                   berth_container_state* out, berth_error* err);
  int32_t (*stats)(void* self, const berth_call* call, const berth_container_request* request,
                   berth_container_stats* out, berth_error* err);
  int32_t (*resize)(void* self, const berth_call* call, const berth_resize_request* request, berth_error* err);
  /* After a restart of the daemon: go on watching a container created before. */
  int32_t (*reattach)(void* self, const berth_call* call, const berth_container_request* request,
                      const berth_exit_watch* watch, berth_error* err);

  int32_t (*checkpoint)(void* self, const berth_call* call, const berth_checkpoint_request* request, berth_error* err);
  /* Like create_container and start_container together. */
  int32_t (*restore)(void* self, const berth_call* call, const berth_checkpoint_request* request,
                     const berth_exit_watch* watch, int64_t* pid, berth_error* err);

  /* With SANDBOX: around the pod's containers. stop and remove are idempotent. */
  int32_t (*start_sandbox)(void* self, const berth_call* call, const berth_sandbox_request* request, berth_error* err);
  int32_t (*stop_sandbox)(void* self, const berth_call* call, const berth_sandbox_request* request, berth_error* err);
  int32_t (*remove_sandbox)(void* self, const berth_call* call, const berth_sandbox_request* request, berth_error* err);
  /* A connected stream socket to a TCP port inside the machine. */
  int32_t (*port_forward)(void* self, const berth_call* call, berth_str pod_id, uint16_t port, int32_t* owned_stream_fd,
                          berth_error* err);
} berth_executor;

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* BERTH_ABI_EXECUTOR_H_ */
