// Id-mapped mounts (mount_setattr(2), Linux 5.12): what is id 0 on disk is the pod's root through them.
#ifndef BERTH_CORE_SUPERVISOR_PROGRAM_ID_MAPPED_MOUNT_H_
#define BERTH_CORE_SUPERVISOR_PROGRAM_ID_MAPPED_MOUNT_H_

#include <string>

#include "core/base/unique_fd.h"
#include "core/supervisor/program/sys.h"

namespace berth::supervisor {

// A detached copy of the mount at `source`, with everything mounted below it when `recursive`. With a `user_ns` (else
// -1) the copy itself, not what is below it, is mapped by that namespace: as OCI runtimes understand "idmap". An error
// says what cannot be mapped: its file system or the kernel.
Error CopyMount(const std::string& source, bool recursive, int user_ns, UniqueFd* copy);

// Attaches a detached mount at `target`, an open place of the same kind (directory or not).
Error AttachMount(int copy, int target, const std::string& source);

}  // namespace berth::supervisor

#endif  // BERTH_CORE_SUPERVISOR_PROGRAM_ID_MAPPED_MOUNT_H_
