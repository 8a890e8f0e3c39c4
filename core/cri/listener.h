// The unix socket that clients connect to: made beside its path and renamed over it, or taken over from whoever had it.
#ifndef BERTH_CORE_CRI_LISTENER_H_
#define BERTH_CORE_CRI_LISTENER_H_

#include <sys/types.h>

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/unique_fd.h"

namespace berth {

// Whoever connects finds the old socket or one that listens. kFailedPrecondition: somebody listens on the socket, or
// its path is something else.
absl::StatusOr<UniqueFd> Listen(const std::string& path, mode_t mode);

// A socket that a predecessor or the service manager hands on. kInvalidArgument unless it is one that listens and was
// bound to `path`; kNotFound when clients do not find it there any more.
absl::Status CheckListener(int fd, const std::string& path);

// How many connections that were accepted on the socket at `path` this process has open. An error when it cannot look,
// for want of a descriptor for instance.
absl::StatusOr<size_t> CountConnections(const std::string& path);

}  // namespace berth

#endif  // BERTH_CORE_CRI_LISTENER_H_
