#include "core/oci/process_spec.h"

#include <utility>

#include "core/base/status.h"
#include "core/oci/environment.h"
#include "core/oci/json.h"

namespace berth::oci {

absl::StatusOr<std::string> ExecProcess(absl::string_view container_spec, const std::vector<std::string>& command,
                                        bool terminal) {
  if (command.empty() || command[0].empty()) return absl::InvalidArgumentError("exec: no command specified");
  for (const std::string& word : command) {
    if (word.find('\0') != std::string::npos)
      return absl::InvalidArgumentError("exec: a string of the command has a NUL");
  }
  ASSIGN_OR_RETURN(nlohmann::json spec, ParseJson(container_spec, "config.json", {.bytes = 64 << 20}));
  if (!spec.is_object() || !spec.contains("process") || !spec["process"].is_object()) {
    return absl::DataLossError("exec: the container's config.json has no process");
  }
  nlohmann::json process = std::move(spec["process"]);
  process["args"] = command;
  process["terminal"] = terminal;
  if (terminal) {
    absl::Status status;
    Environment environment;
    environment.Set("TERM=xterm");
    for (std::string& entry : JsonReader(process, "process", &status).Strings("env")) environment.Set(std::move(entry));
    RETURN_IF_ERROR(status);
    process["env"] = environment.entries();
  }
  return DumpJson(process, "process of the exec");
}

}  // namespace berth::oci
