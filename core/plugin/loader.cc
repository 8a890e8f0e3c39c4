#include "core/plugin/loader.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/plugin/elf_exports.h"

namespace berth {
namespace {

constexpr uint64_t kMaxFile = 256 << 20;
constexpr uint32_t kMaxStruct = 4096;

absl::Status Refuse(const std::string& path, absl::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat("load plugin ", path, ": ", why));
}

absl::Status CheckOwnership(const std::string& path, absl::string_view what, const struct stat& st, uid_t owner) {
  if (st.st_uid != owner) {
    return Refuse(path, absl::StrCat(what, " belongs to uid ", st.st_uid, ", not to ", owner == 0 ? "root" : "",
                                     owner == 0 ? "" : absl::StrCat("uid ", owner)));
  }
  if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return Refuse(path, absl::StrCat(what, " is writable by its group or others (mode ",
                                     absl::Hex((st.st_mode >> 9) & 7), absl::Hex((st.st_mode >> 6) & 7),
                                     absl::Hex((st.st_mode >> 3) & 7), absl::Hex(st.st_mode & 7), ")"));
  }
  return absl::OkStatus();
}

absl::Status CheckDirectory(const std::string& path, const std::string& file, uid_t owner) {
  const std::string directory = file.substr(0, std::max<size_t>(file.rfind('/'), 1));
  struct stat st = {};
  if (stat(directory.c_str(), &st) != 0)
    return ErrnoStatus(absl::StrCat("load plugin ", path, ": look at ", directory));
  return CheckOwnership(path, absl::StrCat("its directory ", directory), st, owner);
}

// Who can write the file, its directory, or the directory of the link to it, can run code as the daemon.
absl::Status CheckFile(const std::string& path, const std::string& resolved, uid_t owner) {
  if (path[0] == '/') RETURN_IF_ERROR(CheckDirectory(path, path, owner));
  RETURN_IF_ERROR(CheckDirectory(path, resolved, owner));
  // O_NONBLOCK: opening a FIFO would wait for a writer.
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(resolved, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  struct stat st = {};
  if (fstat(fd.get(), &st) != 0) return ErrnoStatus(absl::StrCat("load plugin ", path, ": look at it"));
  if (!S_ISREG(st.st_mode)) return Refuse(path, "not a regular file");
  RETURN_IF_ERROR(CheckOwnership(path, "it", st, owner));
  auto contents = ReadAll(fd.get(), kMaxFile);
  if (!contents.ok()) return Annotate(contents.status(), absl::StrCat("load plugin ", path));
  const auto exports = ElfExports(*contents);
  if (!exports.ok()) return Refuse(path, exports.status().message());
  const bool has = std::find(exports->begin(), exports->end(), BERTH_MODULE_SYMBOL) != exports->end();
  if (!has) return Refuse(path, absl::StrCat("it does not export ", BERTH_MODULE_SYMBOL));
  if (exports->size() > 1) {
    std::vector<std::string> some(exports->begin(), exports->begin() + std::min<size_t>(exports->size(), 8));
    return Refuse(path, absl::StrCat("it exports ", exports->size(), " symbols instead of ", BERTH_MODULE_SYMBOL,
                                     " alone: ", absl::StrJoin(some, ", "), exports->size() > 8 ? ", ..." : ""));
  }
  return absl::OkStatus();
}

bool IsModuleName(absl::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_' || c == '-';
  });
}

// The text at `s` if it ends within `max` bytes.
absl::string_view Bounded(const char* s, size_t max) {
  if (s == nullptr) return {};
  const size_t n = strnlen(s, max + 1);
  return n > max ? absl::string_view() : absl::string_view(s, n);
}

absl::StatusOr<Module> CheckModule(const std::string& path, const berth_module* raw) {
  if (raw->magic != BERTH_MAGIC) return Refuse(path, absl::StrCat("wrong magic 0x", absl::Hex(raw->magic)));
  if (raw->abi_major != BERTH_ABI_MAJOR) {
    return Refuse(path, absl::StrCat("it is for version ", raw->abi_major, ".", raw->abi_minor,
                                     " of the plugin interface, this is ", BERTH_ABI_MAJOR, ".", BERTH_ABI_MINOR));
  }
  if (raw->struct_size < sizeof(berth_module) || raw->struct_size > kMaxStruct) {
    return Refuse(path, absl::StrCat("its module struct has ", raw->struct_size, " bytes, not ", sizeof(berth_module)));
  }
  Module out;
  out.path = path;
  memcpy(&out.table, raw, sizeof(out.table));
  out.name = std::string(Bounded(raw->name, 64));
  out.version = std::string(Bounded(raw->version, 64));
  if (!IsModuleName(out.name)) return Refuse(path, "its name is not [a-z0-9_-]{1,64}");
  if (out.version.empty()) return Refuse(path, "its version is missing or too long");
  if (out.table.query == nullptr) return Refuse(path, "its query function is NULL");
  return out;
}

}  // namespace

absl::StatusOr<Module> LoadModule(const std::string& path, uid_t owner) {
  if (path.empty()) return absl::InvalidArgumentError("load plugin: no path given");
  char resolved[PATH_MAX];
  if (realpath(path.c_str(), resolved) == nullptr) return ErrnoStatus(absl::StrCat("load plugin ", path));
  RETURN_IF_ERROR(CheckFile(path, resolved, owner));
  // Never unloaded: a thread of the plugin's may run in it, and static libstdc++ has destructors for each thread.
  void* const object = dlopen(resolved, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (object == nullptr) return Refuse(path, dlerror());
  const void* const symbol = dlsym(object, BERTH_MODULE_SYMBOL);
  absl::StatusOr<Module> module = symbol == nullptr ? Refuse(path, absl::StrCat(BERTH_MODULE_SYMBOL, " is NULL"))
                                                    : CheckModule(path, static_cast<const berth_module*>(symbol));
  dlclose(object);  // gives the handle back only
  return module;
}

}  // namespace berth
