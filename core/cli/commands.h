// One function for each subcommand; each says on stderr why it failed and answers the exit status.
#ifndef BERTH_CORE_CLI_COMMANDS_H_
#define BERTH_CORE_CLI_COMMANDS_H_

#include <string>

namespace berth {

inline constexpr char kDefaultConfigPath[] = "/etc/berth/config.toml";

// The version of this build, as in `berth version` and the CRI Version answer.
inline constexpr char kVersion[] = "0.1.0";

// The daemon, until SIGTERM or SIGINT.
int ServeCommand(const std::string& config_path);
int ConfigDefaultCommand();
int ConfigCheckCommand(const std::string& config_path);
int VersionCommand();

}  // namespace berth

#endif  // BERTH_CORE_CLI_COMMANDS_H_
