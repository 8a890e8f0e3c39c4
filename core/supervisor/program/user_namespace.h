// The user namespace of a pod: made once, mapped, and kept by a bind-mounted file.
#ifndef BERTH_CORE_SUPERVISOR_PROGRAM_USER_NAMESPACE_H_
#define BERTH_CORE_SUPERVISOR_PROGRAM_USER_NAMESPACE_H_

#include "core/supervisor/program/sys.h"

namespace berth::supervisor {

// A path with maps on both sides, or none of the three.
Error CheckUserNamespace(const wire::LaunchSpec& spec);

// Makes the namespace of spec.uid_map and gid_map and mounts it on spec.user_ns_path, whose directory is made.
// Nothing if the specification names none. On an error UnpinUserNamespace undoes what was made.
Error PinUserNamespace(const wire::LaunchSpec& spec);
void UnpinUserNamespace(const wire::LaunchSpec& spec);

// What id 0 inside is outside: with an empty map 0.
uint32_t HostRoot(const std::vector<wire::IdMapping>& map);

}  // namespace berth::supervisor

#endif  // BERTH_CORE_SUPERVISOR_PROGRAM_USER_NAMESPACE_H_
