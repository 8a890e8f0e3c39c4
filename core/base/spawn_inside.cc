#include "core/base/spawn_inside.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/base/unique_fd.h"

namespace berth {
namespace {

enum class Step : int { kGroup, kCgroup, kNetns, kDirectory, kDescriptor, kExec };

struct Failure {
  Step step;
  int err;
};

struct Plan {
  const SpawnInsideOptions* options;
  const UniqueFd* cgroups;
  size_t cgroup_count;
  int report_fd;
};

// In the child: only what is safe between vfork and exec. It shares our memory, so that nothing is written to it but
// its own frame.
[[noreturn]] void Fail(const Plan& plan, Step step) {
  const Failure failure{step, errno};
  [[maybe_unused]] const ssize_t n = write(plan.report_fd, &failure, sizeof(failure));
  _exit(127);
}

[[noreturn]] void Child(const Plan& plan) {
  const SpawnInsideOptions& o = *plan.options;
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  for (int s = 1; s < NSIG; ++s) sigaction(s, &standard, nullptr);  // else our handlers would run in our memory
  if (setpgid(0, 0) != 0) Fail(plan, Step::kGroup);
  for (size_t i = 0; i < plan.cgroup_count; ++i) {
    if (write(plan.cgroups[i].get(), "0", 1) != 1) Fail(plan, Step::kCgroup);
  }
  if (o.netns_fd >= 0 && setns(o.netns_fd, CLONE_NEWNET) != 0) Fail(plan, Step::kNetns);
  if (!o.directory.empty() && chdir(o.directory.c_str()) != 0) Fail(plan, Step::kDirectory);
  for (const auto& [ours, theirs] : o.descriptors) {
    if (ours == theirs ? fcntl(ours, F_SETFD, 0) != 0 : dup2(ours, theirs) < 0) Fail(plan, Step::kDescriptor);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execve(o.argv[0], o.argv, o.env);
  Fail(plan, Step::kExec);
}

[[gnu::noinline]] pid_t Fork(const Plan& plan) {
  const pid_t pid = vfork();
  if (pid == 0) Child(plan);
  return pid;
}

absl::Status StepError(const SpawnInsideOptions& o, const Failure& failure) {
  const std::string run = absl::StrCat("run ", o.argv[0]);
  switch (failure.step) {
    case Step::kGroup:
      return ErrnoStatus(failure.err, absl::StrCat(run, ": make a process group"));
    case Step::kCgroup:
      return ErrnoStatus(failure.err, absl::StrCat(run, ": join its cgroup"));
    case Step::kNetns:
      return ErrnoStatus(failure.err, absl::StrCat(run, ": enter the network namespace"));
    case Step::kDirectory:
      return ErrnoStatus(failure.err, absl::StrCat(run, ": change to directory ", o.directory));
    case Step::kDescriptor:
      return ErrnoStatus(failure.err, absl::StrCat(run, ": set up its descriptors"));
    case Step::kExec:
      return ErrnoStatus(failure.err, run);
  }
  return absl::InternalError(run);
}

}  // namespace

absl::StatusOr<pid_t> SpawnInside(const SpawnInsideOptions& options) {
  std::vector<UniqueFd> cgroups;
  for (const std::string& directory : options.cgroup_directories) {
    ASSIGN_OR_RETURN(UniqueFd procs, OpenFile(directory + "/cgroup.procs", O_WRONLY));
    cgroups.push_back(std::move(procs));
  }
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return ErrnoStatus("make a pipe");
  UniqueFd report(fds[0]), child_report(fds[1]);
  // Above every number that the child's descriptors get, so that dup2 does not close it.
  child_report.reset(fcntl(child_report.get(), F_DUPFD_CLOEXEC, 100));
  if (!child_report) return ErrnoStatus("duplicate a pipe");

  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = Fork({&options, cgroups.data(), cgroups.size(), child_report.get()});
  const int fork_errno = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return ErrnoStatus(fork_errno, absl::StrCat("run ", options.argv[0]));

  child_report.reset();
  Failure failure{};
  ssize_t n;
  while ((n = read(report.get(), &failure, sizeof(failure))) < 0 && errno == EINTR) {
  }
  if (n != sizeof(failure)) return pid;
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return StepError(options, failure);
}

}  // namespace berth
