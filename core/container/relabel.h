// Gives files an SELinux label.
#ifndef BERTH_CORE_CONTAINER_RELABEL_H_
#define BERTH_CORE_CONTAINER_RELABEL_H_

#include <string>

#include "absl/status/status.h"

namespace berth {

inline constexpr char kSelinuxAttribute[] = "security.selinux";  // xattr(7)

// Labels what is at `path`, a directory after all that is in it. Links below `path` are labelled themselves and lead
// nowhere; what is mounted below it is another file system's, or another place's, and stays as it is. What has the
// label already is not written, and a file system that keeps no labels is left alone. What may be gone is left out.
//
// kInvalidArgument, with nothing done, for the node's own directories, whatever path leads there: what is in /usr, /etc
// and the like, and the likes of /, /home and /var themselves. Blocks as long as the tree is large.
absl::Status RelabelTree(const std::string& path, const std::string& label);

}  // namespace berth

#endif  // BERTH_CORE_CONTAINER_RELABEL_H_
