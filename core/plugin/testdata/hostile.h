/* For plugins that break a rule: a table of functions that do nothing, and a module around it. C, so that no SDK helps.
 */
#ifndef BERTH_CORE_PLUGIN_TESTDATA_HOSTILE_H_
#define BERTH_CORE_PLUGIN_TESTDATA_HOSTILE_H_

#include <string.h>

#include "berth/abi/snapshotter.h"

static inline int32_t Create(const berth_host* host, void** out, berth_error* err) {
  static int self;
  (void)host, (void)err;
  *out = &self;
  return BERTH_OK;
}
static inline void Destroy(void* self) { (void)self; }
static inline int32_t Root(void* self, const berth_str_sink* out, berth_error* err) {
  (void)self, (void)err;
  const berth_str root = {"/hostile", 8};
  out->put(out->ctx, root);
  return BERTH_OK;
}
static inline int32_t Prepare(void* self, const berth_call* call, const berth_snapshot_request* request,
                              const berth_prepared_sink* out, berth_error* err) {
  (void)self, (void)call, (void)request, (void)out, (void)err;
  return BERTH_OK;
}
static inline int32_t Commit(void* self, const berth_call* call, const berth_snapshot_request* request,
                             berth_error* err) {
  (void)self, (void)call, (void)request, (void)err;
  return BERTH_OK;
}
static inline int32_t Remove(void* self, const berth_call* call, berth_str key, berth_error* err) {
  (void)self, (void)call, (void)key, (void)err;
  return BERTH_OK;
}
static inline int32_t Stat(void* self, const berth_call* call, berth_str key, const berth_snapshot_info_sink* out,
                           berth_error* err) {
  (void)self, (void)call, (void)key, (void)out, (void)err;
  return BERTH_OK;
}
static inline int32_t Walk(void* self, const berth_call* call, const berth_snapshot_info_sink* each, berth_error* err) {
  (void)self, (void)call, (void)each, (void)err;
  return BERTH_OK;
}

#define HARMLESS_TABLE                                                                                                \
  {                                                                                                                   \
    .struct_size = sizeof(berth_snapshotter), .create = Create, .destroy = Destroy, .root = Root, .prepare = Prepare, \
    .mounts = Prepare, .commit = Commit, .remove = Remove, .stat = Stat, .walk = Walk                                 \
  }

#define EXPORT __attribute__((visibility("default")))

#endif /* BERTH_CORE_PLUGIN_TESTDATA_HOSTILE_H_ */
