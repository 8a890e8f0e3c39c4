/* Image registry: where manifests and blobs come from. Runs in the pull worker, a short-lived process, never in the
 * daemon, and is not trusted for content: the host verifies every digest and size.
 */
#ifndef BERTH_ABI_REGISTRY_H_
#define BERTH_ABI_REGISTRY_H_

#include "berth/abi/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BERTH_REGISTRY "berth.image-registry/0"

/* image-spec descriptor.md. */
typedef struct berth_content_descriptor {
  uint32_t struct_size, reserved;
  berth_str media_type;
  berth_str digest; /* "sha256:..."; empty only together with data: then the host computes it */
  uint64_t size;
  berth_str data; /* bytes: the content itself when it is small and at hand; at most 8 MiB */
} berth_content_descriptor;

typedef struct berth_content_sink {
  uint32_t struct_size, reserved;
  void* ctx;
  void (*put)(void* ctx, const berth_content_descriptor* descriptor);
} berth_content_sink;

/* CRI AuthConfig. Never log it. */
typedef struct berth_credentials {
  uint32_t struct_size, reserved;
  berth_str username, password, auth, server_address, identity_token, registry_token;
} berth_credentials;

typedef struct berth_registry_request {
  uint32_t struct_size, reserved;
  berth_str reference;                                  /* normalised: host/path:tag or host/path@digest */
  berth_str os, architecture, variant, runtime_handler; /* platform as in image-index.md */
  const berth_credentials* credentials;                 /* never NULL; fields may be empty */
  const berth_pair* annotations;                        /* ImageSpec.annotations */
  uint64_t annotation_count;
} berth_registry_request;

typedef struct berth_fetch_range {
  uint32_t struct_size, reserved;
  const berth_content_descriptor* what;
  uint64_t offset;
  uint64_t length; /* UINT64_MAX: to the end */
} berth_fetch_range;

typedef struct berth_registry {
  uint32_t struct_size, reserved;
  int32_t (*create)(const berth_host* host, void** out, berth_error* err); /* [required] [main] */
  void (*destroy)(void* self);                                             /* [required] [main] */

  /* [required] The manifest or index that the reference names. NOT_FOUND: not served here, the host asks the next. */
  int32_t (*resolve)(void* self, const berth_call* call, const berth_registry_request* request,
                     const berth_content_sink* out, berth_error* err);
  /* [required] Delivers the range, in order. Several blobs are fetched at once. When the sink refuses, its code is
   * returned. */
  int32_t (*fetch)(void* self, const berth_call* call, const berth_registry_request* request,
                   const berth_fetch_range* range, const berth_byte_sink* out, berth_error* err);
  /* Each reference it can name by itself; UNIMPLEMENTED where that cannot be known. */
  int32_t (*list)(void* self, const berth_call* call, const berth_str_sink* each, berth_error* err);
  /* 0 when requests have a chance. */
  int32_t (*ping)(void* self, const berth_call* call, berth_error* err);
} berth_registry;

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* BERTH_ABI_REGISTRY_H_ */
