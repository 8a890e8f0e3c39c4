// fstab options to what mount(2) takes.
#ifndef BERTH_CORE_SUPERVISOR_PROGRAM_MOUNT_OPTIONS_H_
#define BERTH_CORE_SUPERVISOR_PROGRAM_MOUNT_OPTIONS_H_

#include <string>
#include <vector>

#include "core/supervisor/program/sys.h"

namespace berth::supervisor {

struct MountOptions {
  unsigned long flags = 0;        // MS_RDONLY, MS_BIND, MS_REC, ...
  unsigned long propagation = 0;  // MS_SHARED, ... with MS_REC as asked; 0: as it comes
  bool explicit_flags = false;    // a per-mount flag was named: a bind needs a remount for them
  bool recursive_read_only = false;
  std::string data;         // what the file system is told
  std::string cwd;          // x-berth.cwd
  bool id_mapped = false;   // x-berth.idmap: this bind itself
  std::string id_map_root;  // x-berth.idmap=DIR: what the file system is made of
  bool beside = false;      // x-berth.beside: the target is in the directory that holds the rootfs
};

Error ParseMountOptions(const std::vector<std::string>& options, MountOptions* parsed);

}  // namespace berth::supervisor

#endif  // BERTH_CORE_SUPERVISOR_PROGRAM_MOUNT_OPTIONS_H_
