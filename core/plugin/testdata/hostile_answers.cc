// A snapshotter on the bare ABI that answers nonsense, a different one for each key.
#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "berth/abi/snapshotter.h"

namespace {

std::string Key(berth_str key) { return std::string(key.data, key.size); }
berth_str Str(const std::string& s) { return {s.data(), s.size()}; }

int32_t Create(const berth_host*, void** out, berth_error*) {
  static int self;
  *out = &self;
  return BERTH_OK;
}
void Destroy(void*) {}
int32_t Root(void*, const berth_str_sink* out, berth_error*) {
  out->put(out->ctx, {"/hostile", 8});
  return BERTH_OK;
}

int32_t Fail(int32_t code, const std::string& text, uint32_t size, berth_error* err) {
  err->code = code;
  err->size = size;
  memcpy(err->text, text.data(), std::min(text.size(), sizeof(err->text)));
  return code;
}

struct Answer {
  berth_mount mount{sizeof(berth_mount), 0, {"bind", 4}, {"/src", 4}, {"", 0}, nullptr, 0};
  const berth_mount* mounts[1] = {&mount};
  berth_prepared prepared{sizeof(berth_prepared), -1, BERTH_WHITEOUT_OVERLAY, 0, mounts, 1};
};

int32_t Prepare(void*, const berth_call*, const berth_snapshot_request* request, const berth_prepared_sink* out,
                berth_error* err) {
  const std::string key = Key(request->key);
  Answer a;
  if (key == "noresult") return BERTH_OK;
  if (key == "longerror") return Fail(BERTH_INTERNAL, std::string(5000, 'x'), 5000, err);
  if (key == "badtext") return Fail(BERTH_INTERNAL, std::string("a\xff\xfe\0b", 5), 5, err);
  if (key == "badcode") return Fail(4711, "", 0, err);
  if (key == "negative") return Fail(-1, "", 0, err);
  if (key == "null") {
    out->put(out->ctx, nullptr);
    return BERTH_OK;
  }
  if (key == "short") a.prepared.struct_size = 8;
  if (key == "nullmounts") a.prepared.mounts = nullptr;
  if (key == "manymounts") a.prepared.mount_count = UINT64_MAX;
  if (key == "nullmount") a.mounts[0] = nullptr;
  if (key == "shortmount") a.mount.struct_size = 16;
  if (key == "nomounts") a.prepared.mount_count = 0;
  if (key == "nulltext") a.mount.source = {nullptr, 10};
  if (key == "hugetext") a.mount.source = {"x", UINT64_MAX};
  if (key == "nottext") a.mount.source = {"\xc3\x28", 2};
  if (key == "nultext") a.mount.source = {"a\0b", 3};
  if (key == "escape") a.mount.target = {"../etc", 6};
  if (key == "absolute") a.mount.target = {"/etc", 4};
  if (key == "hugeoptions") a.mount.option_count = UINT64_MAX / 2;
  if (key == "nulloptions") a.mount.option_count = 3;
  if (key == "whiteouts") a.prepared.whiteouts = 99;
  if (key == "closedfd") a.prepared.owned_directory_fd = 9999;
  if (key == "stdinfd") a.prepared.owned_directory_fd = 0;
  if (key == "negativefd") a.prepared.owned_directory_fd = -5;
  if (key == "filefd") a.prepared.owned_directory_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (key == "pathfd") a.prepared.owned_directory_fd = open("/", O_PATH | O_CLOEXEC);
  if (key == "goodfd") a.prepared.owned_directory_fd = open("/", O_RDONLY | O_DIRECTORY);  // without O_CLOEXEC
  out->put(out->ctx, &a.prepared);
  if (key == "twice") {
    a.prepared.owned_directory_fd = -1;
    out->put(out->ctx, &a.prepared);
  }
  return BERTH_OK;
}

int32_t Commit(void*, const berth_call*, const berth_snapshot_request*, berth_error* err) {
  return Fail(BERTH_INTERNAL, "", UINT32_MAX, err);
}
int32_t Remove(void*, const berth_call*, berth_str, berth_error*) { return BERTH_OK; }
int32_t Stat(void*, const berth_call*, berth_str key, const berth_snapshot_info_sink* out, berth_error*) {
  const std::string other = Key(key) == "other" ? "another" : Key(key);
  const berth_snapshot_info info{sizeof(info), Key(key) == "state" ? 42 : 0, Str(other)};
  out->put(out->ctx, &info);
  return BERTH_OK;
}
int32_t Walk(void*, const berth_call*, const berth_snapshot_info_sink* each, berth_error*) {
  const berth_snapshot_info info{sizeof(info), 0, {"../../etc", 9}};
  each->put(each->ctx, &info);
  return BERTH_OK;
}

const berth_snapshotter kTable = {sizeof(berth_snapshotter),
                                  0,
                                  &Create,
                                  &Destroy,
                                  nullptr,
                                  &Root,
                                  &Prepare,
                                  &Prepare,
                                  &Commit,
                                  &Remove,
                                  &Stat,
                                  nullptr,
                                  &Walk,
                                  nullptr};

const void* Query(const char* id) { return std::string(id) == BERTH_SNAPSHOTTER ? &kTable : nullptr; }

}  // namespace

extern "C" __attribute__((visibility("default"))) const berth_module berth_module_v0;
const berth_module berth_module_v0 = {sizeof(berth_module),
                                      BERTH_MAGIC,
                                      BERTH_ABI_MAJOR,
                                      BERTH_ABI_MINOR,
                                      0,
                                      "hostile_answers",
                                      "1",
                                      nullptr,
                                      nullptr,
                                      nullptr,
                                      &Query};
