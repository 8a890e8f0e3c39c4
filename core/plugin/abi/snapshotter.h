/* Snapshotter: keeps the file trees of image layers and of containers.
 *
 * The host names snapshots (keys of [a-z0-9]{1,32}, never used twice) and keeps their metadata. A snapshotter keeps
 * trees under those keys and nothing else. A crash leaves at worst a tree that the host's sweep finds with walk() and
 * removes. Life of a key: prepare -> (commit) -> remove. The host never runs two operations on one key at once.
 */
#ifndef BERTH_ABI_SNAPSHOTTER_H_
#define BERTH_ABI_SNAPSHOTTER_H_

#include "berth/abi/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BERTH_SNAPSHOTTER "berth.snapshotter/0"

/* Capabilities. */
#define BERTH_SNAPSHOTTER_PARENT_AT_COMMIT 1u /* a LAYER needs no parents at prepare: layers unpack in parallel */
#define BERTH_SNAPSHOTTER_ID_MAPPED 2u        /* uid_map and gid_map are honoured */
#define BERTH_SNAPSHOTTER_QUOTA 4u            /* quota_bytes is honoured */

#define BERTH_SNAPSHOT_LAYER 0     /* to be unpacked into, then committed */
#define BERTH_SNAPSHOT_CONTAINER 1 /* writable for the life of a container */
#define BERTH_SNAPSHOT_VIEW 2      /* read-only */

#define BERTH_WHITEOUT_OVERLAY 0 /* character device 0:0; xattr trusted.overlay.opaque=y */
#define BERTH_WHITEOUT_NONE 1    /* the tree holds the parents' files already: the unpacker deletes them */

#define BERTH_SNAPSHOT_ACTIVE 0
#define BERTH_SNAPSHOT_COMMITTED 1

/* Ids [inside, inside + count) of the container are [host, host + count) outside. */
typedef struct berth_id_mapping {
  uint32_t inside, host, count;
} berth_id_mapping;

typedef struct berth_snapshot_request {
  uint32_t struct_size;
  int32_t kind; /* BERTH_SNAPSHOT_LAYER ... */
  berth_str key;
  const berth_str* parents; /* committed keys, nearest first; none for a base layer */
  uint64_t parent_count;
  const berth_id_mapping* uid_map; /* none: no mapping */
  uint64_t uid_map_count;
  const berth_id_mapping* gid_map;
  uint64_t gid_map_count;
  uint64_t quota_bytes; /* 0: none */
  const berth_pair* labels;
  uint64_t label_count;
} berth_snapshot_request;

/* One mount(2) of a rootfs. */
typedef struct berth_mount {
  uint32_t struct_size, reserved;
  berth_str type, source;
  berth_str target;         /* relative to the rootfs; empty: the rootfs itself */
  const berth_str* options; /* as in fstab: "lowerdir=...", "ro", "bind", "nosuid". "x-berth.cwd=/DIR": where relative
                             * paths in the others start; not handed to the kernel */
  uint64_t option_count;
} berth_mount;

typedef struct berth_prepared {
  uint32_t struct_size;
  int32_t owned_directory_fd; /* LAYER: the tree to unpack into (O_DIRECTORY, not O_PATH); else -1 */
  int32_t whiteouts;          /* BERTH_WHITEOUT_*: how a deleted name is written into the tree */
  uint32_t reserved;
  const berth_mount* const* mounts; /* CONTAINER and VIEW: what makes the rootfs, in order */
  uint64_t mount_count;
} berth_prepared;

typedef struct berth_prepared_sink {
  uint32_t struct_size, reserved;
  void* ctx;
  void (*put)(void* ctx, const berth_prepared* prepared);
} berth_prepared_sink;

typedef struct berth_snapshot_info {
  uint32_t struct_size;
  int32_t state; /* BERTH_SNAPSHOT_ACTIVE, BERTH_SNAPSHOT_COMMITTED */
  berth_str key;
} berth_snapshot_info;

typedef struct berth_snapshot_info_sink {
  uint32_t struct_size, reserved;
  void* ctx;
  void (*put)(void* ctx, const berth_snapshot_info* info); /* each, in walk() */
} berth_snapshot_info_sink;

typedef struct berth_snapshot_usage {
  uint32_t struct_size, reserved;
  uint64_t bytes; /* allocated on disk, of this snapshot alone */
  uint64_t inodes;
  /* Of a committed layer: a number made of the names, kinds, owners, modes and sizes of all that is in its tree. The
   * same tree has the same number in every release, so that the host can tell one that has lost files. 0: not known. */
  uint64_t fingerprint;
} berth_snapshot_usage;

typedef struct berth_snapshotter {
  uint32_t struct_size, reserved;
  /* [required] Makes an instance. [main] */
  int32_t (*create)(const berth_host* host, void** out, berth_error* err);
  void (*destroy)(void* self); /* [required] [main] */

  uint64_t (*capabilities)(void* self); /* constant; [no-block] */
  /* [required] The directory that holds all trees, constant: what ImageFsInfo reports. */
  int32_t (*root)(void* self, const berth_str_sink* out, berth_error* err);

  /* [required] ALREADY_EXISTS for a key in use, NOT_FOUND for an unknown parent. */
  int32_t (*prepare)(void* self, const berth_call* call, const berth_snapshot_request* request,
                     const berth_prepared_sink* out, berth_error* err);
  /* [required] The mounts of an existing CONTAINER or VIEW, as prepare() gave them: after a restart. */
  int32_t (*mounts)(void* self, const berth_call* call, const berth_snapshot_request* request,
                    const berth_prepared_sink* out, berth_error* err);
  /* [required] Makes a LAYER immutable and usable as a parent, atomically. The host has synced its files. Idempotent.
   * Of the request key and parents are set. */
  int32_t (*commit)(void* self, const berth_call* call, const berth_snapshot_request* request, berth_error* err);
  /* [required] NOT_FOUND for an unknown key. The tree is out of the way at once; its space may follow in cleanup(). */
  int32_t (*remove)(void* self, const berth_call* call, berth_str key, berth_error* err);
  int32_t (*stat)(void* self, const berth_call* call, berth_str key, const berth_snapshot_info_sink* out,
                  berth_error* err); /* [required] */
  int32_t (*usage)(void* self, const berth_call* call, berth_str key, berth_snapshot_usage* out, berth_error* err);
  /* [required] Every key there is, in any order. */
  int32_t (*walk)(void* self, const berth_call* call, const berth_snapshot_info_sink* each, berth_error* err);
  /* Frees the space of what was removed, and what an interrupted operation left. */
  int32_t (*cleanup)(void* self, const berth_call* call, berth_error* err);
} berth_snapshotter;

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* BERTH_ABI_SNAPSHOTTER_H_ */
