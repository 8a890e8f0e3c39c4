#include "core/supervisor/program/sys.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace berth::supervisor {
namespace {

uint32_t CodeOf(int err) {
  switch (err) {
    case ENOENT:
    case ESRCH:
      return wire::kNotFound;
    case EEXIST:
      return wire::kAlreadyExists;
    case EACCES:
    case EPERM:
      return wire::kPermissionDenied;
    case EINVAL:
    case ENAMETOOLONG:
    case E2BIG:
    case EDOM:
      return wire::kInvalidArgument;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return wire::kResourceExhausted;
    case EBUSY:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
      return wire::kFailedPrecondition;
    case EAGAIN:
      return wire::kUnavailable;
    default:
      return wire::kInternal;
  }
}

int64_t Now(clockid_t clock) {
  timespec ts;
  clock_gettime(clock, &ts);
  return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

}  // namespace

Error Fail(uint32_t code, std::string text) { return Error{code, std::move(text)}; }

Error Errno(int err, std::string_view what) {
  // strerrordesc_np and not strerror: it needs no locale data.
  const char* description = strerrordesc_np(err);
  return Fail(CodeOf(err), Concat({what, ": ", description != nullptr ? description : "unknown error"}));
}

std::string Concat(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (std::string_view part : parts) text.append(part);
  return text;
}

std::string Decimal(int64_t value) {
  char digits[24];
  int at = sizeof(digits);
  uint64_t rest = value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  do {
    digits[--at] = static_cast<char>('0' + rest % 10);
    rest /= 10;
  } while (rest != 0);
  if (value < 0) digits[--at] = '-';
  return std::string(digits + at, sizeof(digits) - static_cast<size_t>(at));
}

bool ParseDecimal(std::string_view text, int64_t* value) {
  if (text.empty() || text.size() > 18) return false;
  int64_t sum = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    sum = sum * 10 + (c - '0');
  }
  *value = sum;
  return true;
}

int64_t UnixNanos() { return Now(CLOCK_REALTIME); }
int64_t MonotonicNanos() { return Now(CLOCK_MONOTONIC); }

int64_t DeadlineAfter(int64_t timeout_ns) {
  int64_t now = MonotonicNanos();
  return timeout_ns < 0 || timeout_ns > INT64_MAX - now ? INT64_MAX : now + timeout_ns;
}

Error ReadFile(const char* path, size_t limit, std::string* out) {
  UniqueFd fd(open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) return Errno(Concat({"open ", path}));
  out->clear();
  char buffer[1024];
  while (out->size() < limit) {
    ssize_t n = read(fd.get(), buffer, sizeof(buffer));
    if (n < 0) return Errno(Concat({"read ", path}));
    if (n == 0) break;
    out->append(buffer, static_cast<size_t>(n));
  }
  if (out->size() > limit) out->resize(limit);
  return Ok();
}

Error WriteExisting(const char* path, std::string_view text) {
  UniqueFd fd(open(path, O_WRONLY | O_CLOEXEC));
  if (!fd) return Errno(Concat({"open ", path}));
  if (write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return Errno(Concat({"write '", text, "' to ", path}));
  }
  return Ok();
}

Error WriteAtomic(int dir_fd, const char* name, std::string_view text) {
  std::string temporary = Concat({".", name, ".new"});
  UniqueFd fd(openat(dir_fd, temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return Errno(Concat({"create ", temporary}));
  if (write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      renameat(dir_fd, temporary.c_str(), dir_fd, name) != 0) {
    Error error = Errno(Concat({"write ", name}));
    unlinkat(dir_fd, temporary.c_str(), 0);
    return error;
  }
  return Ok();
}

Error MakeDirs(std::string_view path, mode_t mode) {
  std::string prefix;
  for (size_t at = 1; at <= path.size(); ++at) {
    if (at != path.size() && path[at] != '/') continue;
    prefix.assign(path.substr(0, at));
    if (mkdir(prefix.c_str(), mode) != 0 && errno != EEXIST) return Errno(Concat({"mkdir ", prefix}));
  }
  return Ok();
}

bool IsCleanPath(std::string_view path) {
  if (path.empty() || path[0] != '/' || path.size() >= PATH_MAX) return false;
  if (path.find('\0') != std::string_view::npos) return false;
  while (!path.empty()) {
    path.remove_prefix(1);
    size_t slash = path.find('/');
    std::string_view part = path.substr(0, slash);
    if (part == "." || part == "..") return false;
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash);
  }
  return true;
}

bool PlaceDescriptors(const int* fds, int n) {
  constexpr int kMost = 8;
  int high[kMost];
  // Out of the way first: a source may be one of the numbers that get overwritten.
  for (int i = 0; i < n; ++i) {
    high[i] = fcntl(fds[i], F_DUPFD, kMost);
    if (high[i] < 0) return false;
  }
  for (int i = 0; i < n; ++i) {
    if (dup2(high[i], i) < 0) return false;
  }
  return syscall(SYS_close_range, static_cast<unsigned>(n), ~0U, 0) == 0;
}

void ResetSignals() {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) sigaction(signal, &action, nullptr);  // fails for KILL and STOP
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace berth::supervisor
