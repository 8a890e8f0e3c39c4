// The pod's namespaces and what stays of them in the file system.
#ifndef BERTH_CORE_SUPERVISOR_PROGRAM_NAMESPACES_H_
#define BERTH_CORE_SUPERVISOR_PROGRAM_NAMESPACES_H_

#include <string>

#include "core/supervisor/program/sys.h"

namespace berth::supervisor {

// Everything but names and paths of their own making: what a daemon may ask for at all.
Error CheckSpec(const wire::LaunchSpec& spec);

// Moves the caller into the pod's new namespaces: hostname and sysctls set, loopback up. With user_ns_path they are
// made, and their sysctls written, by a child inside that user namespace, and then joined from outside, so that the
// caller keeps the host's privileges.
Error EnterNamespaces(const wire::LaunchSpec& spec);

// Where a sysctl lives below /proc/sys ("net.ipv4.ip_forward" and "net/ipv4/ip_forward" name the same), if it belongs
// to a namespace that the pod owns.
Error SysctlPath(const wire::LaunchSpec& spec, std::string_view name, std::string* path);

// Bind-mounts the caller's network namespace on spec.netns_pin and mounts the pod's /dev/shm.
Error MakePins(const wire::LaunchSpec& spec);
// Undoes that and PinUserNamespace; OK for what was never made. ReleasePins of the daemon does the same later.
void UndoPins(const wire::LaunchSpec& spec);

}  // namespace berth::supervisor

#endif  // BERTH_CORE_SUPERVISOR_PROGRAM_NAMESPACES_H_
