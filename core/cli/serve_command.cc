#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/base/unique_fd.h"
#include "core/cli/commands.h"
#include "core/config/config.h"
#include "core/daemon/daemon.h"
#include "core/daemon/successor.h"

namespace berth {
namespace {

constexpr uint64_t kMostConfigBytes = 1 << 20;

absl::StatusOr<std::string> ConfigText(const ServeOptions& options) {
  if (options.config_descriptor >= 0) return ReadAll(UniqueFd(options.config_descriptor).get(), kMostConfigBytes);
  auto text = ReadFile(options.config_path, kMostConfigBytes);
  if (absl::IsNotFound(text.status()) && options.config_path == kDefaultConfigPath) return std::string();
  return text;
}

LogLevel LevelOf(const std::string& name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warn") return LogLevel::kWarn;
  return name == "error" ? LogLevel::kError : LogLevel::kInfo;
}

// What a daemon that hands over has given us.
absl::StatusOr<HandOverChannel> TakeChannel(int version, UniqueFd* listener) {
  if (version != kHandOverVersion) {
    return absl::InvalidArgumentError(absl::StrCat("take over: the daemon that hands over speaks version ", version,
                                                   ", this one ", kHandOverVersion,
                                                   "; stop it, and start this one instead"));
  }
  for (const int fd : {kSuccessorChannelFd, kSuccessorListenerFd}) {
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
      return ErrnoStatus(absl::StrCat("take over: descriptor ", fd, ": only a daemon starts a successor"));
    }
  }
  listener->reset(kSuccessorListenerFd);
  return HandOverChannel(UniqueFd(kSuccessorChannelFd));
}

// Until there is a reason to end; answers the exit status.
int RunUntilDone(Daemon* daemon, int signals) {
  for (;;) {
    pollfd fds[] = {{signals, POLLIN, 0}, {daemon->done_fd(), POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) continue;
    if (fds[1].revents != 0) return daemon->lost() ? 1 : 0;
    signalfd_siginfo received = {};
    if (read(signals, &received, sizeof(received)) != sizeof(received)) continue;
    if (received.ssi_signo == SIGHUP) {
      daemon->UpgradeLater();
      continue;
    }
    LogInfo("shutting down", {{"signal", strsignal(static_cast<int>(received.ssi_signo))}});
    return 0;
  }
}

}  // namespace

int ServeCommand(const ServeOptions& options) {
  // Two arenas are enough for what the daemon allocates; one for each of many short-lived threads is memory for
  // nothing.
  mallopt(M_ARENA_MAX, 2);
  // Blocked before the first thread starts, so that every thread inherits it and the descriptor is the only receiver.
  sigset_t ours;
  sigemptyset(&ours);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&ours, signal);
  pthread_sigmask(SIG_BLOCK, &ours, nullptr);
  signal(SIGPIPE, SIG_IGN);
  const UniqueFd signals(signalfd(-1, &ours, SFD_CLOEXEC));

  ServiceManager manager = ServiceManager::FromEnvironment();
  DaemonOptions daemon_options;
  std::optional<HandOverChannel> predecessor;
  const auto fail = [&](const absl::Status& status) {
    const std::string message(status.message());
    if (predecessor.has_value()) predecessor->Say(HandOverWord::kFailed, message).IgnoreError();
    return 1;
  };
  if (options.take_over != 0) {
    auto channel = TakeChannel(options.take_over, &daemon_options.listener);
    if (!channel.ok()) {
      fprintf(stderr, "%s\n", std::string(channel.status().message()).c_str());
      return 1;
    }
    predecessor.emplace(*std::move(channel));
    daemon_options.predecessor = &*predecessor;
  }
  auto text = ConfigText(options);
  const absl::StatusOr<Config> config = text.ok() ? ParseConfig(*text, options.config_path) : text.status();
  if (!config.ok()) {
    fprintf(stderr, "%s\n", std::string(config.status().message()).c_str());
    return fail(config.status());
  }
  SetLogLevel(LevelOf(config->log.level));
  daemon_options.version = kVersion;
  daemon_options.config_path = options.config_path;
  daemon_options.config_text = *std::move(text);
  daemon_options.manager = &manager;
  auto daemon = Daemon::Start(*config, std::move(daemon_options));
  if (!daemon.ok()) {
    LogError("start", {{"error", daemon.status().message()}});
    return fail(daemon.status());
  }
  predecessor.reset();
  const int status = RunUntilDone(daemon->get(), signals.get());
  manager.Stopping();
  (*daemon)->Stop();
  return status;
}

}  // namespace berth
