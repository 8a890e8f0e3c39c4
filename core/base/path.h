// Paths that somebody else chose, walked safely: inside a container's file system only with openat2 RESOLVE_IN_ROOT.
#ifndef BERTH_CORE_BASE_PATH_H_
#define BERTH_CORE_BASE_PATH_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/base/unique_fd.h"

namespace berth {

// Opens `path` as a process whose root is `root_fd` would: absolute links and .. stay inside, /proc magic links are
// refused (openat2(2), kernel 5.6). O_CLOEXEC is added.
absl::StatusOr<UniqueFd> OpenInRoot(int root_fd, absl::string_view path, int flags, mode_t mode = 0);

// mkdir -p inside a root. Returns the last directory, opened O_PATH. Made directories get `mode` and belong to root.
absl::StatusOr<UniqueFd> MakeDirsInRoot(int root_fd, absl::string_view path, mode_t mode = 0755);

// OK for an absolute path without NUL and without .. components, at most PATH_MAX - 1 bytes. `what` names it in the
// error.
absl::Status CheckAbsolutePath(absl::string_view path, absl::string_view what);

// OK for one or more components below some directory: not absolute, no NUL, no .. (log paths, names of files).
absl::Status CheckRelativePath(absl::string_view path, absl::string_view what);

}  // namespace berth

#endif  // BERTH_CORE_BASE_PATH_H_
