#include <malloc.h>
#include <signal.h>

#include <cstdio>
#include <string>

#include "core/base/log.h"
#include "core/cli/commands.h"
#include "core/config/config.h"
#include "core/daemon/daemon.h"

namespace berth {
namespace {

absl::StatusOr<Config> ConfigFor(const std::string& path) {
  auto config = LoadConfig(path);
  if (absl::IsNotFound(config.status()) && path == kDefaultConfigPath) return ParseConfig("", path);
  return config;
}

LogLevel LevelOf(const std::string& name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warn") return LogLevel::kWarn;
  return name == "error" ? LogLevel::kError : LogLevel::kInfo;
}

}  // namespace

int ServeCommand(const std::string& config_path) {
  // Two arenas are enough for what the daemon allocates; one for each of many short-lived threads is memory for
  // nothing.
  mallopt(M_ARENA_MAX, 2);
  // Blocked before the first thread starts, so that every thread inherits it and sigwait below is the only receiver.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  signal(SIGPIPE, SIG_IGN);

  const auto config = ConfigFor(config_path);
  if (!config.ok()) {
    fprintf(stderr, "%s\n", std::string(config.status().message()).c_str());
    return 1;
  }
  SetLogLevel(LevelOf(config->log.level));
  auto daemon = Daemon::Start(*config, kVersion);
  if (!daemon.ok()) {
    LogError("start", {{"error", daemon.status().message()}});
    return 1;
  }
  int received = 0;
  sigwait(&ends, &received);
  LogInfo("shutting down", {{"signal", strsignal(received)}});
  (*daemon)->Stop();
  return 0;
}

}  // namespace berth
