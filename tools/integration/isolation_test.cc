// The first process of a world sees what becomes of those that nobody else waits for.
#include "tools/integration/isolation.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace berth {
namespace {

// An orphan of that name that ends by this signal. Returns when the world's first process has waited for it.
void LeaveAnOrphan(const char* name, int signal) {
  int ends[2];
  if (pipe(ends) != 0) _exit(99);
  const pid_t parent = fork();
  if (parent == 0) {
    if (fork() == 0) {
      prctl(PR_SET_NAME, name);
      while (getppid() != 1) usleep(1000);
      const pid_t own = getpid();
      if (write(ends[1], &own, sizeof(own)) == sizeof(own)) kill(own, signal);
      _exit(98);
    }
    _exit(0);
  }
  waitpid(parent, nullptr, 0);
  pid_t orphan = 0;
  if (read(ends[0], &orphan, sizeof(orphan)) != sizeof(orphan)) _exit(97);
  while (kill(orphan, 0) == 0) usleep(1000);
}

// What a world's program ends with whose tests have all passed.
int ResultWith(const char* name, int signal) {
  const pid_t program = fork();  // a process makes one world
  if (program == 0) {
    _exit(RunIsolated("/proc/self/exe", [&] {
      LeaveAnOrphan(name, signal);
      return 0;
    }));
  }
  int status = 0;
  waitpid(program, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(IsolationTest, ADaemonThatCrashedIsAFailure) {
  EXPECT_EQ(ResultWith("berth", SIGSEGV), 1);
  EXPECT_EQ(ResultWith("exe", SIGABRT), 1);
}

TEST(IsolationTest, OneThatWasKilledIsNone) {
  EXPECT_EQ(ResultWith("berth", SIGKILL), 0);
  EXPECT_EQ(ResultWith("sleep", SIGSEGV), 0);
}

}  // namespace
}  // namespace berth
