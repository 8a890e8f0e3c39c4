// Stands in for an executor or a CNI plugin and writes down how long the real one took: one line
// `START END NAME ARGUMENTS...` (CLOCK_MONOTONIC, ns; then CNI_COMMAND and CNI_CONTAINERID, if set) is appended to the
// file DIRECTORY/times. It finds the real program by its own name in DIRECTORY/real/.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

long long Now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

}  // namespace

int main(int argc, char** argv) {
  const long long start = Now();
  char self[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
  if (length <= 0) return 127;
  const std::string path(self, static_cast<size_t>(length));
  const size_t slash = path.rfind('/');
  const std::string directory = path.substr(0, slash), name = path.substr(slash + 1);
  const std::string real = directory + "/real/" + name;
  argv[0] = const_cast<char*>(real.c_str());
  pid_t pid = 0;
  if (posix_spawn(&pid, real.c_str(), nullptr, nullptr, argv, environ) != 0) return 127;
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
  }
  std::string line = std::to_string(start) + " " + std::to_string(Now()) + " " + name;
  for (int i = 1; i < argc; ++i) line += std::string(" ") + argv[i];
  for (const char* variable : {"CNI_COMMAND", "CNI_CONTAINERID"}) {
    if (const char* value = std::getenv(variable)) line += std::string(" ") + value;
  }
  line += "\n";
  const int times = open((directory + "/times").c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (times >= 0 && write(times, line.data(), line.size()) < 0) return 126;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
