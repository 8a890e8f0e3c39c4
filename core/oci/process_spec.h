// The `process` object for a command run in an existing container.
#ifndef BERTH_CORE_OCI_PROCESS_SPEC_H_
#define BERTH_CORE_OCI_PROCESS_SPEC_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace berth::oci {

// `container_spec` is the text of the container's config.json: user, environment, directory and capabilities are those
// of its first process. Returns the text of the process file. kInvalidArgument for an empty command or a NUL in it.
absl::StatusOr<std::string> ExecProcess(absl::string_view container_spec, const std::vector<std::string>& command,
                                        bool terminal);

}  // namespace berth::oci

#endif  // BERTH_CORE_OCI_PROCESS_SPEC_H_
