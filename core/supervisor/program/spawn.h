// Starting children of the supervisor. fork(2) is cheap here: the program is small and has one thread.
#ifndef BERTH_CORE_SUPERVISOR_PROGRAM_SPAWN_H_
#define BERTH_CORE_SUPERVISOR_PROGRAM_SPAWN_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/supervisor/program/sys.h"

namespace berth::supervisor {

// argv[0] is a clean absolute path, nothing has a NUL.
Error CheckCommand(const std::vector<std::string>& argv, const std::vector<std::string>& env);

// Executes, or writes why not to descriptor `failure` and exits with 127. Standard streams are in place.
[[noreturn]] void Execute(const std::vector<std::string>& argv, const std::vector<std::string>& env, int failure);

// Starts a command in a process group of its own with these standard streams. `failure` receives the reading end of
// a pipe that stays empty when the program could be executed. Its OOM score is that of the process `member_of`, which
// what it leaves behind is to be like (not every executor sees to that); 0: none.
Error Spawn(const wire::Run& run, pid_t member_of, int in, int out, int err, pid_t* pid, UniqueFd* failure);

// Starts the child that mounts a container's rootfs and waits for its command on `socket`: it answers with a kReply
// frame that carries the rootfs or an error; a kRun frame makes it the command. It ends when the socket hangs up.
// For `pod` see MountRootfs.
Error StartMounter(const wire::PrepareContainer& prepare, int mount_ns, const wire::LaunchSpec& pod, int in, int out,
                   int err, pid_t* pid, UniqueFd* socket);

}  // namespace berth::supervisor

#endif  // BERTH_CORE_SUPERVISOR_PROGRAM_SPAWN_H_
