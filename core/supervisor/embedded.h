// The supervisor program, carried inside this binary and laid down as a file of its own.
#ifndef BERTH_CORE_SUPERVISOR_EMBEDDED_H_
#define BERTH_CORE_SUPERVISOR_EMBEDDED_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace berth {

// The program's bytes, and the first 16 hex digits of their SHA-256: its build id.
absl::string_view SupervisorProgram();
absl::string_view SupervisorBuildId();

// Makes sure that DIRECTORY/supervisor-BUILDID holds the program, mode 0755, and returns that path. An intact file is
// left as it is; one with other contents is replaced (temporary file, fsync, rename), so running supervisors keep
// theirs.
absl::StatusOr<std::string> InstallSupervisor(const std::string& directory);

}  // namespace berth

#endif  // BERTH_CORE_SUPERVISOR_EMBEDDED_H_
