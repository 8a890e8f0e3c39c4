#include "core/base/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/spawn_inside.h"
#include "core/base/status.h"
#include "core/base/unique_fd.h"

namespace berth {
namespace {

constexpr int64_t kDrainNanos = 1'000'000'000;

struct Pipe {
  UniqueFd read, write;
};

absl::StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return ErrnoStatus("make a pipe");
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

class SpawnActions {
 public:
  SpawnActions() { posix_spawn_file_actions_init(&actions_); }
  ~SpawnActions() { posix_spawn_file_actions_destroy(&actions_); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;

  void Give(int fd, int as) { posix_spawn_file_actions_adddup2(&actions_, fd, as); }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (const std::string& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

int64_t Later(int64_t deadline, int64_t by) {
  return deadline > std::numeric_limits<int64_t>::max() - by ? deadline : deadline + by;
}

// The child starts with nothing blocked and nothing ignored, as leader of a new group.
absl::StatusOr<pid_t> Spawn(const Command& command, const std::vector<std::pair<int, int>>& descriptors) {
  std::vector<char*> argv = Pointers(command.argv), env = Pointers(command.env);
  if (command.netns_fd >= 0 || !command.cgroup_directories.empty() || !command.directory.empty()) {
    return SpawnInside(
        {argv.data(), env.data(), descriptors, command.netns_fd, command.cgroup_directories, command.directory});
  }
  SpawnActions actions;
  for (const auto& [ours, theirs] : descriptors) actions.Give(ours, theirs);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  const int err = posix_spawn(&pid, argv[0], actions.get(), &attributes, argv.data(), env.data());
  posix_spawnattr_destroy(&attributes);
  if (err != 0) return ErrnoStatus(err, absl::StrCat("run ", command.argv[0]));
  return pid;
}

// Moves bytes until the child is gone and its pipes are at their end.
class Pump {
 public:
  Pump(const Command& command, UniqueFd in, UniqueFd out, UniqueFd err, const UniqueFd& pid_fd)
      : command_(command), in_(std::move(in)), out_(std::move(out)), err_(std::move(err)), pid_fd_(pid_fd) {
    fcntl(in_.get(), F_SETFL, O_NONBLOCK);
    if (command_.input.empty()) in_.reset();
  }

  enum class End { kExited, kDeadline, kCancelled };

  End Run(CommandResult& result) {
    if (in_) Feed();
    int64_t deadline = command_.deadline_ns;
    bool exited = false;
    while (!exited || out_ || err_) {
      pollfd fds[] = {{exited ? -1 : pid_fd_.get(), POLLIN, 0},
                      {out_.get(), POLLIN, 0},
                      {err_.get(), POLLIN, 0},
                      {in_.get(), POLLOUT, 0},
                      {exited ? -1 : command_.cancel_fd, POLLIN, 0}};
      const int64_t left = deadline - MonotonicNanos();
      if (left <= 0) return exited ? End::kExited : End::kDeadline;
      timespec timeout{static_cast<time_t>(left / 1'000'000'000), static_cast<long>(left % 1'000'000'000)};
      if (ppoll(fds, std::size(fds), &timeout, nullptr) < 0) continue;
      if (fds[4].revents != 0) return End::kCancelled;
      if (fds[3].revents != 0) Feed();
      if (fds[1].revents != 0) deadline = Later(deadline, Listen(result));
      if (fds[2].revents != 0) Drain(err_, result.err, result.truncated);
      if (fds[0].revents != 0) {
        exited = true;
        in_.reset();
        deadline = std::min(deadline, MonotonicNanos() + kDrainNanos);
      }
    }
    return End::kExited;
  }

 private:
  void Feed() {
    const ssize_t n = write(in_.get(), command_.input.data() + fed_, command_.input.size() - fed_);
    if (n > 0) fed_ += n;
    if ((n < 0 && errno != EINTR && errno != EAGAIN) || fed_ == command_.input.size()) in_.reset();
  }

  // Reads what it says, and answers how long whoever wanted to know it took.
  int64_t Listen(CommandResult& result) {
    const size_t before = result.out.size();
    Drain(out_, result.out, result.truncated);
    if (!command_.on_output || result.out.size() == before) return 0;
    const int64_t began = MonotonicNanos();
    command_.on_output(result.out);
    return MonotonicNanos() - began;
  }

  void Drain(UniqueFd& fd, std::string& into, bool& truncated) const {
    char buffer[65536];
    const ssize_t n = read(fd.get(), buffer, sizeof(buffer));
    if (n == 0 || (n < 0 && errno != EINTR)) return fd.reset();
    if (n < 0) return;
    const size_t room = command_.output_limit - std::min<uint64_t>(into.size(), command_.output_limit);
    truncated |= static_cast<size_t>(n) > room;
    into.append(buffer, std::min<size_t>(n, room));
  }

  const Command& command_;
  UniqueFd in_, out_, err_;
  const UniqueFd& pid_fd_;
  size_t fed_ = 0;
};

std::string Tail(const std::string& text) {
  constexpr size_t kMost = 400;
  return text.size() > kMost ? text.substr(text.size() - kMost) : text;
}

}  // namespace

absl::StatusOr<CommandResult> RunCommand(const Command& command) {
  ASSIGN_OR_RETURN(StartedCommand started, StartedCommand::Start(command));
  return started.Finish(command);
}

absl::StatusOr<StartedCommand> StartedCommand::Start(const Command& command) {
  if (command.argv.empty()) return absl::InvalidArgumentError("run: no command given");
  ASSIGN_OR_RETURN(Pipe in, MakePipe());
  ASSIGN_OR_RETURN(Pipe out, MakePipe());
  ASSIGN_OR_RETURN(Pipe err, MakePipe());
  std::vector<std::pair<int, int>> descriptors = {
      {in.read.get(), STDIN_FILENO}, {out.write.get(), STDOUT_FILENO}, {err.write.get(), STDERR_FILENO}};
  descriptors.insert(descriptors.end(), command.descriptors.begin(), command.descriptors.end());
  StartedCommand started;
  ASSIGN_OR_RETURN(started.pid_, Spawn(command, descriptors));
  started.in_ = std::move(in.write);
  started.out_ = std::move(out.read);
  started.err_ = std::move(err.read);
  started.pid_fd_.reset(static_cast<int>(syscall(SYS_pidfd_open, started.pid_, 0)));
  return started;
}

StartedCommand& StartedCommand::operator=(StartedCommand&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(in_, other.in_);
  std::swap(out_, other.out_);
  std::swap(err_, other.err_);
  std::swap(pid_fd_, other.pid_fd_);
  return *this;
}

StartedCommand::~StartedCommand() {
  if (pid_ < 0) return;
  kill(-pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

bool StartedCommand::HasEnded() const {
  pollfd ended{pid_fd_.get(), POLLIN, 0};
  return !pid_fd_ || poll(&ended, 1, 0) != 0;
}

absl::StatusOr<CommandResult> StartedCommand::Finish(const Command& command) {
  CommandResult result;
  // Without a pidfd (descriptors exhausted) the child could not be watched: it is ended at once.
  const auto end = pid_fd_ ? Pump(command, std::move(in_), std::move(out_), std::move(err_), pid_fd_).Run(result)
                           : Pump::End::kCancelled;
  if (end != Pump::End::kExited) kill(-pid_, SIGKILL);
  while (waitpid(pid_, &result.wait_status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  if (end == Pump::End::kExited) return result;
  const std::string text = absl::StrCat("run ", command.argv[0], ": ",
                                        end == Pump::End::kDeadline ? "killed at its deadline" : "killed, cancelled",
                                        result.err.empty() ? "" : "; it said: ", Tail(result.err));
  return end == Pump::End::kDeadline ? absl::DeadlineExceededError(text) : absl::CancelledError(text);
}

}  // namespace berth
