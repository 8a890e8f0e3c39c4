// One function for each subcommand; each says on stderr why it failed and answers the exit status.
#ifndef BERTH_CORE_CLI_COMMANDS_H_
#define BERTH_CORE_CLI_COMMANDS_H_

#include <string>

namespace berth {

inline constexpr char kDefaultConfigPath[] = "/etc/berth/config.toml";

// The version of this build, as in `berth version` and the CRI Version answer.
inline constexpr char kVersion[] = "0.1.0";

inline constexpr char kDefaultAdminSocket[] = "/run/berth/admin.sock";

struct ServeOptions {
  std::string config_path;
  int take_over = 0;           // as a successor: the version of what the two daemons say to each other
  int config_descriptor = -1;  // what to read instead of the file, which only lends its name
};

// The daemon, until SIGTERM or SIGINT, or until it has handed over to a successor, which SIGHUP makes it do.
int ServeCommand(const ServeOptions& options);
// These ask a daemon at its admin socket.
int UpgradeCommand(const std::string& socket, const std::string& binary);
int StatusCommand(const std::string& socket);
int ConfigDefaultCommand();
int ConfigCheckCommand(const std::string& config_path);
int VersionCommand();

}  // namespace berth

#endif  // BERTH_CORE_CLI_COMMANDS_H_
