#include <cstdio>
#include <string>

#include "core/cli/commands.h"
#include "core/config/config.h"

namespace berth {

int ConfigDefaultCommand() {
  fputs(DefaultConfigText().c_str(), stdout);
  return fflush(stdout) == 0 ? 0 : 1;
}

int ConfigCheckCommand(const std::string& config_path) {
  const auto config = LoadConfig(config_path);
  if (!config.ok()) {
    fprintf(stderr, "%s\n", std::string(config.status().message()).c_str());
    return 1;
  }
  printf("%s: no faults\n", config_path.c_str());
  return 0;
}

int VersionCommand() {
  printf("berth %s\n", kVersion);
  return 0;
}

}  // namespace berth
