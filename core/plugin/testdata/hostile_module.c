/* Modules that the loader must refuse, or that fail to start. The build picks one by -DCASE_... */
#include "core/plugin/testdata/hostile.h"

static const berth_snapshotter kTable = HARMLESS_TABLE;

static const void* Query(const char* id) { return strcmp(id, BERTH_SNAPSHOTTER) == 0 ? &kTable : NULL; }

static int32_t FailInit(const berth_host* host, berth_error* err) {
  (void)host;
  err->code = BERTH_UNAVAILABLE;
  err->size = (uint32_t)strlen(strcpy(err->text, "no hardware"));
  return BERTH_UNAVAILABLE;
}

EXPORT const berth_module berth_module_v0 = {
    .struct_size = sizeof(berth_module),
    .magic = BERTH_MAGIC,
    .abi_major = BERTH_ABI_MAJOR,
    .abi_minor = BERTH_ABI_MINOR,
    .name = NAME,
    .version = "1",
    .query = Query,
#if defined(CASE_MAGIC)
    .magic = 0x12345678,
#elif defined(CASE_MAJOR)
    .abi_major = 7,
#elif defined(CASE_SHORT)
    .struct_size = 16,
#elif defined(CASE_NULL_QUERY)
    .query = NULL,
#elif defined(CASE_NAME)
    .name = "Not A Name",
#elif defined(CASE_NULL_NAME)
    .name = NULL,
#elif defined(CASE_INIT)
    .init = FailInit,
#endif
};

void UnusedFailInit(void);
void UnusedFailInit(void) { (void)FailInit; }

#if defined(CASE_TWO_SYMBOLS)
EXPORT int another_symbol = 1;
#endif
