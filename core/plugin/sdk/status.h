// Errors of a plugin: a canonical code (gRPC's) and a text that says what was attempted on what.
#ifndef BERTH_SDK_STATUS_H_
#define BERTH_SDK_STATUS_H_

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "berth/abi/base.h"

namespace berth::sdk {

enum class Code : int32_t {
  kOk = BERTH_OK,
  kCancelled = BERTH_CANCELLED,
  kUnknown = BERTH_UNKNOWN,
  kInvalidArgument = BERTH_INVALID_ARGUMENT,
  kDeadlineExceeded = BERTH_DEADLINE_EXCEEDED,
  kNotFound = BERTH_NOT_FOUND,
  kAlreadyExists = BERTH_ALREADY_EXISTS,
  kPermissionDenied = BERTH_PERMISSION_DENIED,
  kResourceExhausted = BERTH_RESOURCE_EXHAUSTED,
  kFailedPrecondition = BERTH_FAILED_PRECONDITION,
  kAborted = BERTH_ABORTED,
  kOutOfRange = BERTH_OUT_OF_RANGE,
  kUnimplemented = BERTH_UNIMPLEMENTED,
  kInternal = BERTH_INTERNAL,
  kUnavailable = BERTH_UNAVAILABLE,
  kDataLoss = BERTH_DATA_LOSS,
  kUnauthenticated = BERTH_UNAUTHENTICATED,
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message, int sys_errno = 0)
      : code_(code), sys_errno_(sys_errno), message_(std::move(message)) {}

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  int sys_errno() const { return sys_errno_; }  // the errno behind it, or 0

 private:
  Code code_ = Code::kOk;
  int sys_errno_ = 0;
  std::string message_;
};

// `context: message`, the code kept. An OK status stays OK.
inline Status Annotate(const Status& status, std::string_view context) {
  if (status.ok()) return status;
  return Status(status.code(), std::string(context) + ": " + status.message(), status.sys_errno());
}

inline Code CodeOfErrno(int err) {
  switch (err) {
    case 0:
      return Code::kOk;
    case EINVAL:
    case ENAMETOOLONG:
    case E2BIG:
    case EBADF:
      return Code::kInvalidArgument;
    case ENOENT:
    case ENXIO:
    case ESRCH:
      return Code::kNotFound;
    case EEXIST:
      return Code::kAlreadyExists;
    case EPERM:
    case EACCES:
    case EROFS:
      return Code::kPermissionDenied;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOSPC:
    case EDQUOT:
      return Code::kResourceExhausted;
    case EBUSY:
    case ENOTEMPTY:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case EPIPE:
      return Code::kFailedPrecondition;
    case ETIMEDOUT:
      return Code::kDeadlineExceeded;
    case ECANCELED:
      return Code::kCancelled;
    case ENOSYS:
    case EOPNOTSUPP:
      return Code::kUnimplemented;
    case EAGAIN:
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ENETUNREACH:
      return Code::kUnavailable;
    case EIO:
    case EUCLEAN:  // "structure needs cleaning": a file system that found itself damaged
    case EBADMSG:  // the same, of a checksum
      return Code::kDataLoss;
    default:
      return Code::kUnknown;
  }
}

// `what: strerror(err)`.
inline Status ErrnoStatus(int err, std::string_view what) {
  const char* text = strerrordesc_np(err);
  return Status(CodeOfErrno(err), std::string(what) + ": " + (text ? text : "errno " + std::to_string(err)), err);
}
// The same for the calling thread's errno.
inline Status ErrnoStatus(std::string_view what) { return ErrnoStatus(errno, what); }

inline Status Cancelled(std::string message) { return {Code::kCancelled, std::move(message)}; }
inline Status InvalidArgument(std::string message) { return {Code::kInvalidArgument, std::move(message)}; }
inline Status DeadlineExceeded(std::string message) { return {Code::kDeadlineExceeded, std::move(message)}; }
inline Status NotFound(std::string message) { return {Code::kNotFound, std::move(message)}; }
inline Status AlreadyExists(std::string message) { return {Code::kAlreadyExists, std::move(message)}; }
inline Status PermissionDenied(std::string message) { return {Code::kPermissionDenied, std::move(message)}; }
inline Status ResourceExhausted(std::string message) { return {Code::kResourceExhausted, std::move(message)}; }
inline Status FailedPrecondition(std::string message) { return {Code::kFailedPrecondition, std::move(message)}; }
inline Status OutOfRange(std::string message) { return {Code::kOutOfRange, std::move(message)}; }
inline Status Unimplemented(std::string message) { return {Code::kUnimplemented, std::move(message)}; }
inline Status Internal(std::string message) { return {Code::kInternal, std::move(message)}; }
inline Status Unavailable(std::string message) { return {Code::kUnavailable, std::move(message)}; }
inline Status DataLoss(std::string message) { return {Code::kDataLoss, std::move(message)}; }

// A value or the error why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}         // NOLINT: so that `return value;` works
  Result(Status status) : status_(std::move(status)) {  // NOLINT: so that `return status;` works
    if (status_.ok()) status_ = Internal("an OK status without a value");
  }

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  Status status_;
  std::optional<T> value_;
};

}  // namespace berth::sdk

#define BERTH_SDK_CONCAT_INNER(a, b) a##b
#define BERTH_SDK_CONCAT(a, b) BERTH_SDK_CONCAT_INNER(a, b)

// Returns from the calling function when `expr`, a Status, is an error.
#define BERTH_RETURN_IF_ERROR(expr)                                                                      \
  do {                                                                                                   \
    if (::berth::sdk::Status berth_sdk_status = (expr); !berth_sdk_status.ok()) return berth_sdk_status; \
  } while (false)

// `lhs = *expr`, or returns the error of `expr`, a Result.
#define BERTH_ASSIGN_OR_RETURN(lhs, expr) \
  BERTH_ASSIGN_OR_RETURN_IMPL(BERTH_SDK_CONCAT(berth_sdk_result_, __LINE__), lhs, expr)
#define BERTH_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                                \
  if (!tmp.ok()) return tmp.status();               \
  lhs = *std::move(tmp)

#endif  // BERTH_SDK_STATUS_H_
