// Who a container runs as: CRI's security context and the image's User, looked up in the image's own passwd and group.
#ifndef BERTH_CORE_OCI_USER_H_
#define BERTH_CORE_OCI_USER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/cri/v1/api.pb.h"

namespace berth::oci {

struct ResolvedUser {
  uint32_t uid = 0, gid = 0;
  std::vector<uint32_t> additional_gids;  // the primary group first, each once
};

// Precedence: run_as_user (with run_as_group), run_as_username, then `image_user` ("", "user", "user:group", each a
// name or a number). A number need not be in passwd: its group is then 0. A name must be. run_as_group without a user
// is an error. Merge adds the groups that the image's /etc/group lists for the user; Strict takes only those given.
//
// `rootfs_fd` is the container's root directory, hostile: links stay inside it, only regular files are read, at most
// 4 MiB each. kInvalidArgument for what is wrong in the request or the image.
absl::StatusOr<ResolvedUser> ResolveUser(int rootfs_fd, const runtime::v1::LinuxContainerSecurityContext& security,
                                         absl::string_view image_user);

}  // namespace berth::oci

#endif  // BERTH_CORE_OCI_USER_H_
