#include "core/cli/cli.h"

#include <CLI/CLI.hpp>
#include <string>

#include "core/cli/commands.h"
#include "core/image/pull_worker_main.h"
#include "core/image/worker_process.h"

namespace berth {

int RunCli(int argc, char** argv) {
  CLI::App app("Berth, a container runtime for Kubernetes nodes", "berth");
  app.require_subcommand(1);
  std::string config_path = kDefaultConfigPath;

  CLI::App* serve = app.add_subcommand("serve", "Run the daemon");
  serve->add_option("-c,--config", config_path, "Configuration file; all defaults when the default path has none")
      ->capture_default_str();
  // From a daemon that hands over; no help for them (group "").
  ServeOptions successor;
  serve->add_option("--take-over", successor.take_over)->group("");
  serve->add_option("--config-descriptor", successor.config_descriptor)->group("");
  std::string admin_socket = kDefaultAdminSocket, binary;
  CLI::App* upgrade = app.add_subcommand("upgrade", "Replace the daemon by a new one without a call failing");
  upgrade->add_option("--binary", binary, "The new program; the one that the daemon was started from, as it is now");
  CLI::App* status = app.add_subcommand("status", "Ask the daemon how it is");
  for (CLI::App* command : {upgrade, status}) {
    command->add_option("--socket", admin_socket, "[admin] socket of its configuration")->capture_default_str();
  }
  CLI::App* config = app.add_subcommand("config", "Show or check the configuration");
  config->require_subcommand(1);
  CLI::App* config_default = config->add_subcommand("default", "Print the defaults as a commented file");
  CLI::App* config_check = config->add_subcommand("check", "Report every fault of a configuration file");
  config_check->add_option("file", config_path, "Configuration file")->capture_default_str();
  CLI::App* version = app.add_subcommand("version", "Print the version");
  // Started by the daemon, with a socket to it; no name in the help (group "").
  app.add_subcommand("pull-worker", "")->group("");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  if (serve->parsed()) {
    successor.config_path = config_path;
    return ServeCommand(successor);
  }
  if (upgrade->parsed()) return UpgradeCommand(admin_socket, binary);
  if (status->parsed()) return StatusCommand(admin_socket);
  if (config_default->parsed()) return ConfigDefaultCommand();
  if (config_check->parsed()) return ConfigCheckCommand(config_path);
  if (version->parsed()) return VersionCommand();
  return PullWorkerMain(kWorkerControlFd);
}

}  // namespace berth
