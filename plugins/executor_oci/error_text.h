// What an OCI runtime's command said when it failed: its message, and the status code that fits.
#ifndef BERTH_PLUGINS_EXECUTOR_OCI_ERROR_TEXT_H_
#define BERTH_PLUGINS_EXECUTOR_OCI_ERROR_TEXT_H_

#include <string>
#include <string_view>

#include "berth/sdk/status.h"

namespace berth::executor_oci {

// The meaning of stderr in one line of valid UTF-8: messages of level error and fatal where the lines are a log's
// (logfmt as runc writes it, or JSON), else all lines. At most 700 bytes, the end of a longer text: runtimes put the
// cause last. "" when there is nothing to say.
std::string ErrorText(std::string_view err);

// True for what crun and runc say of a container they do not know.
bool IsUnknownContainer(std::string_view text, std::string_view id);

// The code for the message of a failed `command` ("create", "exec", ...). kInternal for what nobody knows.
sdk::Code CodeOfText(std::string_view command, std::string_view text, std::string_view id);

}  // namespace berth::executor_oci

#endif  // BERTH_PLUGINS_EXECUTOR_OCI_ERROR_TEXT_H_
