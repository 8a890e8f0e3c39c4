// The few system idioms the supervisor needs: errors as values, whole-file reads and writes, clocks.
//
// The program is one thread without exceptions; running out of memory ends it (the runtime in runtime.cc aborts).
#ifndef BERTH_CORE_SUPERVISOR_PROGRAM_SYS_H_
#define BERTH_CORE_SUPERVISOR_PROGRAM_SYS_H_

#include <errno.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/unique_fd.h"
#include "core/supervisor/wire/messages.h"

namespace berth::supervisor {

struct [[nodiscard]] Error {
  uint32_t code = wire::kOk;
  std::string text;
  bool ok() const { return code == wire::kOk; }
};

inline Error Ok() { return {}; }
Error Fail(uint32_t code, std::string text);
// "what: strerror", with the code that fits the errno.
Error Errno(int err, std::string_view what);
inline Error Errno(std::string_view what) { return Errno(errno, what); }

std::string Concat(std::initializer_list<std::string_view> parts);
std::string Decimal(int64_t value);
// A non-negative decimal number and nothing else; false when it is not one or does not fit.
bool ParseDecimal(std::string_view text, int64_t* value);

int64_t UnixNanos();
int64_t MonotonicNanos();
// When something that starts now and may take `timeout_ns` must be over; a negative timeout: never (INT64_MAX).
int64_t DeadlineAfter(int64_t timeout_ns);

// At most `limit` bytes of the file; what is beyond is not read.
Error ReadFile(const char* path, size_t limit, std::string* out);
// One write(2) into an existing file (a sysctl, an id map).
Error WriteExisting(const char* path, std::string_view text);
// Temporary name in the same directory, rename.
Error WriteAtomic(int dir_fd, const char* name, std::string_view text);
// mkdir -p; directories that exist are left as they are.
Error MakeDirs(std::string_view path, mode_t mode);

// Absolute, without . and .. components, no NUL, shorter than PATH_MAX.
bool IsCleanPath(std::string_view path);

// Ready to hold a descriptor number: 0..n-1 become `fds`, all others but those are closed. In a forked child only.
bool PlaceDescriptors(const int* fds, int n);
// Default signals, nothing blocked: what a program expects to be started with.
void ResetSignals();

#define BERTH_TRY(expr)                                               \
  do {                                                                \
    if (::berth::supervisor::Error berth_e = (expr); !berth_e.ok()) { \
      return berth_e;                                                 \
    }                                                                 \
  } while (false)

}  // namespace berth::supervisor

#endif  // BERTH_CORE_SUPERVISOR_PROGRAM_SYS_H_
