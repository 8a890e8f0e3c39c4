// From a fresh process to a pod that is set up; undone as a whole when a step fails.
#ifndef BERTH_CORE_SUPERVISOR_PROGRAM_LAUNCH_H_
#define BERTH_CORE_SUPERVISOR_PROGRAM_LAUNCH_H_

#include <memory>

#include "core/supervisor/program/pod.h"

namespace berth::supervisor {

// The launch specification on standard input.
Error ReadSpec(wire::LaunchSpec* spec);

// Everything up to the listening socket, in order: the directory and its lock, namespaces, pins, the pod's init. The
// caller is in a session of its own and single.
Error SetUpPod(wire::LaunchSpec spec, std::unique_ptr<Pod>* pod);

}  // namespace berth::supervisor

#endif  // BERTH_CORE_SUPERVISOR_PROGRAM_LAUNCH_H_
