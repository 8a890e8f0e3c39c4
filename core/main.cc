#include "absl/synchronization/mutex.h"
#include "core/cli/cli.h"

int main(int argc, char** argv) {
#ifdef NDEBUG
  // Debian's Abseil is built with its search for deadlocks on, which takes a global lock at each lock of gRPC's.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
  return berth::RunCli(argc, argv);
}
