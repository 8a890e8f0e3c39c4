#include "core/supervisor/program/mount_options.h"

#include <sys/mount.h>
#include <unistd.h>

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

namespace berth::supervisor {
namespace {

struct Flag {
  std::string_view name;
  unsigned long set, clear;
};

constexpr unsigned long kAtime = MS_NOATIME | MS_RELATIME | MS_STRICTATIME;

constexpr Flag kFlags[] = {
    {"ro", MS_RDONLY, 0},
    {"rw", 0, MS_RDONLY},
    {"nosuid", MS_NOSUID, 0},
    {"suid", 0, MS_NOSUID},
    {"nodev", MS_NODEV, 0},
    {"dev", 0, MS_NODEV},
    {"noexec", MS_NOEXEC, 0},
    {"exec", 0, MS_NOEXEC},
    {"nosymfollow", MS_NOSYMFOLLOW, 0},
    {"symfollow", 0, MS_NOSYMFOLLOW},
    {"noatime", MS_NOATIME, kAtime},
    {"atime", 0, MS_NOATIME},
    {"relatime", MS_RELATIME, kAtime},
    {"norelatime", 0, MS_RELATIME},
    {"strictatime", MS_STRICTATIME, kAtime},
    {"nostrictatime", 0, MS_STRICTATIME},
    {"nodiratime", MS_NODIRATIME, 0},
    {"diratime", 0, MS_NODIRATIME},
};

constexpr Flag kSuperblockFlags[] = {
    {"sync", MS_SYNCHRONOUS, 0}, {"async", 0, MS_SYNCHRONOUS}, {"dirsync", MS_DIRSYNC, 0},     {"mand", MS_MANDLOCK, 0},
    {"nomand", 0, MS_MANDLOCK},  {"lazytime", MS_LAZYTIME, 0}, {"nolazytime", 0, MS_LAZYTIME}, {"silent", MS_SILENT, 0},
    {"loud", 0, MS_SILENT},      {"bind", MS_BIND, 0},         {"rbind", MS_BIND | MS_REC, 0}, {"defaults", 0, 0},
};

constexpr Flag kPropagation[] = {
    {"private", MS_PRIVATE, 0},       {"rprivate", MS_PRIVATE | MS_REC, 0},
    {"shared", MS_SHARED, 0},         {"rshared", MS_SHARED | MS_REC, 0},
    {"slave", MS_SLAVE, 0},           {"rslave", MS_SLAVE | MS_REC, 0},
    {"unbindable", MS_UNBINDABLE, 0}, {"runbindable", MS_UNBINDABLE | MS_REC, 0},
};

template <size_t N>
const Flag* Find(const Flag (&table)[N], std::string_view name) {
  for (const Flag& flag : table) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

constexpr std::string_view kCwd = "x-berth.cwd=", kIdMapRoot = "x-berth.idmap=";

Error ParseOne(const std::string& option, MountOptions* parsed) {
  if (const Flag* flag = Find(kFlags, option)) {
    parsed->flags = (parsed->flags & ~flag->clear) | flag->set;
    parsed->explicit_flags = true;
  } else if (const Flag* flag = Find(kSuperblockFlags, option)) {
    parsed->flags = (parsed->flags & ~flag->clear) | flag->set;
  } else if (const Flag* flag = Find(kPropagation, option)) {
    parsed->propagation = flag->set;
  } else if (option == "rro") {
    parsed->recursive_read_only = true;
  } else if (std::string_view(option).substr(0, kCwd.size()) == kCwd) {
    parsed->cwd = option.substr(kCwd.size());
    if (!IsCleanPath(parsed->cwd)) return Fail(wire::kInvalidArgument, "x-berth.cwd is not a clean path");
  } else if (std::string_view(option).substr(0, kIdMapRoot.size()) == kIdMapRoot) {
    parsed->id_map_root = option.substr(kIdMapRoot.size());
    if (!IsCleanPath(parsed->id_map_root)) return Fail(wire::kInvalidArgument, "x-berth.idmap is not a clean path");
  } else if (option == "x-berth.idmap") {
    parsed->id_mapped = true;
  } else if (option == "x-berth.beside") {
    parsed->beside = true;
  } else if (std::string_view(option).substr(0, 2) != "x-") {  // mount(8): x-* are comments
    if (!parsed->data.empty()) parsed->data += ',';
    parsed->data += option;
  }
  return Ok();
}

}  // namespace

Error ParseMountOptions(const std::vector<std::string>& options, MountOptions* parsed) {
  *parsed = {};
  for (const std::string& option : options) {
    if (option.find('\0') != std::string::npos) return Fail(wire::kInvalidArgument, "a mount option has a NUL");
    BERTH_TRY(ParseOne(option, parsed));
  }
  bool bind = (parsed->flags & MS_BIND) != 0;
  if (parsed->id_mapped && !bind) return Fail(wire::kInvalidArgument, "x-berth.idmap without a directory is for binds");
  if (!parsed->id_map_root.empty() &&
      (bind || (parsed->cwd + "/").compare(0, parsed->id_map_root.size() + 1, parsed->id_map_root + "/") != 0)) {
    return Fail(wire::kInvalidArgument, "x-berth.idmap=DIR is for file systems whose x-berth.cwd is DIR or below it");
  }
  // The kernel copies one page and cuts off the rest without a word.
  if (parsed->data.size() >= static_cast<size_t>(sysconf(_SC_PAGESIZE))) {
    return Fail(wire::kInvalidArgument, Concat({"mount options of ", Decimal(static_cast<int64_t>(parsed->data.size())),
                                                " bytes: mount(2) takes less than a page"}));
  }
  return Ok();
}

}  // namespace berth::supervisor
