#include "core/image/worker_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>
#include <thread>
#include <utility>

#include "core/base/status.h"

namespace berth {
namespace {

// A worker that does not read its socket is given up after this time.
constexpr timeval kSendTimeout{30, 0};

struct SocketPair {
  UniqueFd ours, theirs;
};

absl::StatusOr<SocketPair> MakeSocketPair() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return ErrnoStatus("socketpair");
  SocketPair pair{UniqueFd(fds[0]), UniqueFd(fds[1])};
  if (setsockopt(pair.ours.get(), SOL_SOCKET, SO_SNDTIMEO, &kSendTimeout, sizeof(kSendTimeout)) != 0)
    return ErrnoStatus("set the timeout of a socket");
  return pair;
}

class WorkerProcess : public Worker {
 public:
  WorkerProcess(UniqueFd socket, pid_t pid) : socket_(std::move(socket)), pid_(pid) {}
  ~WorkerProcess() override {
    kill(-pid_, SIGKILL);  // no failpoint: without the daemon it ends by itself
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  int socket() const override { return socket_.get(); }

 private:
  const UniqueFd socket_;
  const pid_t pid_;
};

class WorkerThread : public Worker {
 public:
  WorkerThread(SocketPair pair, std::function<void(UniqueFd)> run)
      : socket_(std::move(pair.ours)),
        thread_([run = std::move(run), fd = pair.theirs.release()] { run(UniqueFd(fd)); }) {}
  ~WorkerThread() override {
    shutdown(socket_.get(), SHUT_RDWR);
    thread_.join();
  }
  int socket() const override { return socket_.get(); }

 private:
  const UniqueFd socket_;
  std::thread thread_;
};

class SpawnSetup {
 public:
  SpawnSetup() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
  }
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;

  int Spawn(pid_t* pid, const std::vector<std::string>& argv, int control_fd) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions_, 2, 1);
    posix_spawn_file_actions_adddup2(&actions_, control_fd, kWorkerControlFd);
    std::vector<char*> words;
    words.reserve(argv.size() + 1);
    for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    // failpoint: image.pull.worker
    return posix_spawn(pid, words[0], &actions_, &attributes_, words.data(), environ);
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

WorkerLauncher LaunchWorkerProcess(std::vector<std::string> argv) {
  return [argv = std::move(argv)]() -> absl::StatusOr<std::unique_ptr<Worker>> {
    ASSIGN_OR_RETURN(SocketPair pair, MakeSocketPair());
    pid_t pid = 0;
    SpawnSetup setup;
    if (const int error = setup.Spawn(&pid, argv, pair.theirs.get()); error != 0)
      return ErrnoStatus(error, "start the pull worker " + argv[0]);
    return std::make_unique<WorkerProcess>(std::move(pair.ours), pid);
  };
}

WorkerLauncher LaunchWorkerThread(std::function<void(UniqueFd)> run) {
  return [run = std::move(run)]() -> absl::StatusOr<std::unique_ptr<Worker>> {
    ASSIGN_OR_RETURN(SocketPair pair, MakeSocketPair());
    return std::make_unique<WorkerThread>(std::move(pair), run);
  };
}

}  // namespace berth
