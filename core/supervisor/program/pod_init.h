// Starts the init of a shared pid namespace, hardened (DESIGN: "No pause image").
#ifndef BERTH_CORE_SUPERVISOR_PROGRAM_POD_INIT_H_
#define BERTH_CORE_SUPERVISOR_PROGRAM_POD_INIT_H_

#include "core/supervisor/program/sys.h"

namespace berth::supervisor {

// The child that is PID 1 of a new pid namespace, owned by the user namespace at `user_ns_path` unless that is "".
// Returned only once /proc shows it without capabilities and under its seccomp filter.
Error StartPodInit(const std::string& user_ns_path, pid_t* pid);

}  // namespace berth::supervisor

#endif  // BERTH_CORE_SUPERVISOR_PROGRAM_POD_INIT_H_
