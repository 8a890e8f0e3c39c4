// Whom the kernel's OOM killer takes first.
#ifndef BERTH_CORE_SUPERVISOR_PROGRAM_OOM_SCORE_H_
#define BERTH_CORE_SUPERVISOR_PROGRAM_OOM_SCORE_H_

#include <sys/types.h>

namespace berth::supervisor {

// One more than the daemon's, which was inherited: as containerd's shims. Of the two the supervisor goes first, and
// both after every pod where the daemon is protected. Needs no capability: it only ever rises.
void SetOwnOomScore();

// In a forked child that becomes something else: protection is not handed on. What the runtime specification asks for
// is set by the executor; what it says nothing about gets 0, or what is more.
void DropOomProtection();
// There, too: as far as it may, the score of another process.
void TakeOomScoreOf(pid_t pid);

}  // namespace berth::supervisor

#endif  // BERTH_CORE_SUPERVISOR_PROGRAM_OOM_SCORE_H_
