/* Modules whose table of functions is not what it should be. The build picks one by -DCASE_... */
#include "core/plugin/testdata/hostile.h"

#if defined(CASE_NULL_FUNCTION)
static berth_snapshotter kTable = {.struct_size = sizeof(berth_snapshotter), .create = Create, .destroy = Destroy};
#elif defined(CASE_SHORT_TABLE)
static berth_snapshotter kTable = {.struct_size = 24, .create = Create, .destroy = Destroy, .root = Root};
#elif defined(CASE_NO_SIZE)
static berth_snapshotter kTable = {.create = Create, .destroy = Destroy, .root = Root};
#elif defined(CASE_NO_INSTANCE)
static int32_t CreateNothing(const berth_host* host, void** out, berth_error* err) {
  (void)host, (void)out, (void)err;
  return BERTH_OK;
}
static berth_snapshotter kTable = {.struct_size = sizeof(berth_snapshotter),
                                   .create = CreateNothing,
                                   .destroy = Destroy,
                                   .root = Root,
                                   .prepare = Prepare,
                                   .mounts = Prepare,
                                   .commit = Commit,
                                   .remove = Remove,
                                   .stat = Stat,
                                   .walk = Walk};
#endif

static const void* Query(const char* id) { return strcmp(id, BERTH_SNAPSHOTTER) == 0 ? &kTable : NULL; }

EXPORT const berth_module berth_module_v0 = {
    .struct_size = sizeof(berth_module),
    .magic = BERTH_MAGIC,
    .abi_major = BERTH_ABI_MAJOR,
    .abi_minor = BERTH_ABI_MINOR,
    .name = NAME,
    .version = "1",
    .query = Query,
};
