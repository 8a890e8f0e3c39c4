// Stands in for an executor or a CNI plugin and writes down how long the real one took: one line
// `START END NAME ARGUMENTS...` (CLOCK_MONOTONIC, ns; then CNI_COMMAND and CNI_CONTAINERID, if set) is appended to the
// file DIRECTORY/times. It finds the real program by its own name in DIRECTORY/real/.
//
// What it needs before and after the real one counts as the runtime's own time. So it has no library: the start of
// glibc alone takes longer than all of this.
#include <asm/fcntl.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/sched.h>
#include <linux/time.h>
#include <linux/time_types.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bare_call.h"

namespace berth {
namespace {

constexpr long kSigChld = 17, kInterrupted = -4;
constexpr int kCannotWrite = 126, kCannotRun = 127;  // statuses
constexpr size_t kMaxLine = 64 << 10;

[[noreturn]] void Exit(int status) {
  for (;;) BareCall(__NR_exit_group, status);
}

int64_t Now() {
  __kernel_timespec time;
  BareCall(__NR_clock_gettime, CLOCK_MONOTONIC, BareAddress(&time));
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

// Ends the program when it grows too long.
template <size_t kCapacity>
class Text {
 public:
  Text& Add(char c) {
    if (size_ == kCapacity) Exit(kCannotWrite);
    text_[size_++] = c;
    return *this;
  }
  Text& Add(const char* text) {
    while (*text != '\0') Add(*text++);
    return *this;
  }
  Text& Add(int64_t number) {
    char digits[20];
    size_t n = 0;
    do digits[n++] = static_cast<char>('0' + number % 10);
    while ((number /= 10) > 0);
    while (n > 0) Add(digits[--n]);
    return *this;
  }
  const char* data() const { return text_; }
  size_t size() const { return size_; }

 private:
  char text_[kCapacity];
  size_t size_ = 0;
};

// What follows `name` and '=' in the environment; null when it is not set.
const char* Variable(char** environment, const char* name) {
  for (; *environment != nullptr; ++environment) {
    const char* have = *environment;
    const char* want = name;
    while (*want != '\0' && *have == *want) ++have, ++want;
    if (*want == '\0' && *have == '=') return have + 1;
  }
  return nullptr;
}

// Answers the wait status.
int Run(const char* program, char** arguments, char** environment) {
  const long child = BareCall(__NR_clone, CLONE_VM | CLONE_VFORK | kSigChld);
  if (child == 0) {
    BareCall(__NR_execve, BareAddress(program), BareAddress(arguments), BareAddress(environment));
    BareCall(__NR_exit_group, kCannotRun);
  }
  if (child < 0) Exit(kCannotRun);
  int status = 0;
  while (BareCall(__NR_wait4, child, BareAddress(&status)) == kInterrupted) {
  }
  return status;
}

}  // namespace

extern "C" [[noreturn]] void Timed(long* stack) {
  const int64_t start = Now();
  const long count = stack[0];
  char** const arguments = reinterpret_cast<char**>(stack + 1);
  char** const environment = arguments + count + 1;

  char self[PATH_MAX];
  const long length =
      BareCall(__NR_readlinkat, AT_FDCWD, BareAddress("/proc/self/exe"), BareAddress(self), sizeof(self) - 1);
  if (length <= 0) Exit(kCannotRun);
  self[length] = '\0';
  char* name = self + length;
  while (name[-1] != '/') --name;
  name[-1] = '\0';
  Text<2 * PATH_MAX> real, times;
  real.Add(self).Add("/real/").Add(name).Add('\0');
  times.Add(self).Add("/times").Add('\0');

  arguments[0] = const_cast<char*>(real.data());
  const int status = Run(real.data(), arguments, environment);
  Text<kMaxLine> line;
  line.Add(start).Add(' ').Add(Now()).Add(' ').Add(name);
  for (long i = 1; i < count; ++i) line.Add(' ').Add(arguments[i]);
  constexpr const char* kVariables[] = {"CNI_COMMAND", "CNI_CONTAINERID"};
  for (const char* variable : kVariables) {
    if (const char* value = Variable(environment, variable)) line.Add(' ').Add(value);
  }
  line.Add('\n');
  const long file = BareCall(__NR_openat, AT_FDCWD, BareAddress(times.data()), O_WRONLY | O_APPEND | O_CREAT, 0644);
  if (file < 0) Exit(kCannotWrite);
  if (BareCall(__NR_write, file, BareAddress(line.data()), static_cast<long>(line.size())) < 0) Exit(kCannotWrite);
  const int signal = status & 0x7f;
  Exit(signal == 0 ? (status >> 8) & 0xff : 128 + signal);
}

BERTH_BARE_ENTRY(Timed);

}  // namespace berth
