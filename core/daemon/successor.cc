#include "core/daemon/successor.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/failpoint.h"
#include "core/base/file.h"
#include "core/base/status.h"

namespace berth {
namespace {

// Above every number that is given to it: no dup2 takes what another one still needs.
constexpr int kOutOfTheWay = 16;

absl::StatusOr<UniqueFd> MoveUp(int fd) {
  UniqueFd moved(fcntl(fd, F_DUPFD_CLOEXEC, kOutOfTheWay));
  if (!moved) return ErrnoStatus("copy a descriptor for the successor");
  return moved;
}

absl::StatusOr<UniqueFd> TextDescriptor(const std::string& text) {
  UniqueFd fd(memfd_create("berth-config", MFD_CLOEXEC));
  if (!fd) return ErrnoStatus("make a file in memory for the configuration");
  RETURN_IF_ERROR(WriteAll(fd.get(), text));  // no failpoint: memory of ours
  if (lseek(fd.get(), 0, SEEK_SET) != 0) return ErrnoStatus("rewind a file in memory");
  return fd;
}

struct SpawnActions {
  SpawnActions() {
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnActions() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;

  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
};

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Successor>> Successor::Start(const SuccessorOptions& options) {
  std::vector<std::string> argv = {options.binary,      "serve",       "--config",
                                   options.config_path, "--take-over", absl::StrCat(kHandOverVersion)};
  std::vector<std::string> env;
  for (char** variable = environ; *variable != nullptr; ++variable) env.emplace_back(*variable);
  env.insert(env.end(), options.environment.begin(), options.environment.end());

  ASSIGN_OR_RETURN(auto pair, HandOverChannel::MakePair());
  SpawnActions spawn;
  std::vector<UniqueFd> moved;
  const auto give = [&](int fd, int number) -> absl::Status {
    ASSIGN_OR_RETURN(UniqueFd copy, MoveUp(fd));
    posix_spawn_file_actions_adddup2(&spawn.files, copy.get(), number);
    moved.push_back(std::move(copy));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(give(pair.second.get(), kSuccessorChannelFd));
  RETURN_IF_ERROR(give(options.listener, kSuccessorListenerFd));
  if (options.config_text.has_value()) {
    ASSIGN_OR_RETURN(const UniqueFd text, TextDescriptor(*options.config_text));
    RETURN_IF_ERROR(give(text.get(), kSuccessorConfigFd));
    argv.insert(argv.end(), {"--config-descriptor", absl::StrCat(kSuccessorConfigFd)});
  }
  RETURN_IF_ERROR(Failpoint("hand_over.spawn"));
  pid_t pid = 0;
  const int error = posix_spawn(&pid, options.binary.c_str(), &spawn.files, &spawn.attributes, Pointers(argv).data(),
                                Pointers(env).data());
  if (error != 0) return ErrnoStatus(error, absl::StrCat("start ", options.binary));
  return std::unique_ptr<Successor>(new Successor(pid, std::move(pair.first)));
}

Successor::~Successor() {
  Reap();
  if (on_its_own_ || wait_status_.has_value()) return;
  kill(pid_, SIGKILL);  // no failpoint: one that was not told to accept ends with us
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Successor::Reap() {
  int status = 0;
  if (!wait_status_.has_value() && waitpid(pid_, &status, WNOHANG) == pid_) wait_status_ = status;
}

std::string Successor::HowItEnded() {
  // It has hung up, which the kernel does for it as it ends. One that lives on all the same is no daemon of ours.
  kill(pid_, SIGKILL);  // no failpoint: as above
  int status = 0;
  while (!wait_status_.has_value()) {
    if (waitpid(pid_, &status, 0) == pid_ || errno != EINTR) wait_status_ = status;
  }
  if (WIFSIGNALED(*wait_status_)) {
    return absl::StrCat("was ended by signal ", WTERMSIG(*wait_status_), " (", strsignal(WTERMSIG(*wait_status_)), ")");
  }
  return absl::StrCat("ended with exit status ", WEXITSTATUS(*wait_status_));
}

absl::StatusOr<std::string> Successor::Expect(HandOverWord word, int64_t deadline_ns) {
  absl::StatusOr<std::string> heard = channel_.Expect(word, deadline_ns);
  if (heard.ok() || !absl::IsUnavailable(heard.status())) return heard;
  return absl::AbortedError(absl::StrCat("it ", HowItEnded(), "; its log says why"));
}

}  // namespace berth
