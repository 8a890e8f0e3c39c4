#include "core/oci/selinux.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace berth::oci {

absl::Status CheckSelinux(const runtime::v1::LinuxContainerSecurityContext& security, bool enabled) {
  const runtime::v1::SELinuxOption& options = security.selinux_options();
  const std::string& level = options.level();
  const bool is_level =
      level.size() <= 1024 && level[0] == 's' && level.find_first_not_of("sc0123456789:,.-") == std::string::npos;
  if (!level.empty() && !is_level) {
    return absl::InvalidArgumentError(absl::StrCat("selinux_options: level \"", absl::CHexEscape(level.substr(0, 64)),
                                                   "\" is no level such as s0:c1,c2"));
  }
  const bool asked = !options.user().empty() || !options.role().empty() || !options.type().empty() || !level.empty();
  if (!asked || !enabled || security.privileged()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "selinux_options: SELinux is enabled on this node and Berth does not label containers yet; leave them out");
}

}  // namespace berth::oci
