// Errors are absl::Status everywhere; canonical codes map one to one to gRPC's. A message says what was attempted and
// on what: `open /run/berth/x: No such file or directory`.
#ifndef BERTH_CORE_BASE_STATUS_H_
#define BERTH_CORE_BASE_STATUS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace berth {

// `what: strerror(err)` with the canonical code of `err` (ENOENT is kNotFound, ENOSPC kResourceExhausted, ...).
absl::Status ErrnoStatus(int err, absl::string_view what);
// The same for the calling thread's errno.
absl::Status ErrnoStatus(absl::string_view what);

// `context: message`, the code kept. An OK status stays OK.
absl::Status Annotate(const absl::Status& status, absl::string_view context);

// `status` with `err` as its cause, for errors that come from elsewhere. 0 and an OK status change nothing.
absl::Status WithErrno(absl::Status status, int err);

// The errno that ErrnoStatus() made this of, or 0.
int ErrnoOf(const absl::Status& status);

}  // namespace berth

#define BERTH_CONCAT_INNER(a, b) a##b
#define BERTH_CONCAT(a, b) BERTH_CONCAT_INNER(a, b)

#define RETURN_IF_ERROR(expr)                                     \
  do {                                                            \
    if (absl::Status berth_status = (expr); !berth_status.ok()) { \
      return berth_status;                                        \
    }                                                             \
  } while (false)

#define ASSIGN_OR_RETURN(lhs, expr) ASSIGN_OR_RETURN_IMPL(BERTH_CONCAT(berth_or_, __LINE__), lhs, expr)
#define ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr)    \
  auto tmp = (expr);                             \
  if (!tmp.ok()) return std::move(tmp).status(); \
  lhs = *std::move(tmp)

#endif  // BERTH_CORE_BASE_STATUS_H_
