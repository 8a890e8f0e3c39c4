#include "core/image/pull_worker_main.h"

#include <sys/prctl.h>

#include <csignal>
#include <utility>

#include "core/base/log.h"
#include "core/base/status.h"
#include "core/config/config_json.h"
#include "core/image/pull_worker.h"
#include "core/image/raw_inflate.h"
#include "core/plugin/plugins.h"

namespace berth {
namespace {

absl::Status Main(int control_fd) {
  signal(SIGPIPE, SIG_IGN);
  UniqueFd control(control_fd);
  FastestInflateLibrary();  // what there is to load is loaded while nothing has been read from outside
  RETURN_IF_ERROR(Annotate(ConfinePullWorker(), "confine the pull worker"));
  // The next daemon removes what was being unpacked. The signal comes when the thread that started this process ends:
  // it waits for the pull. A daemon that ended before this line has hung up, which is seen too.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return ErrnoStatus("ask to die with the daemon");
  std::unique_ptr<Plugins> plugins;  // outlives what the factory makes
  const RegistryFactory factory = [&plugins](const RegistryPlugins& wanted,
                                             size_t index) -> absl::StatusOr<std::shared_ptr<ImageRegistry>> {
    if (plugins == nullptr) {
      HostServices services;
      services.root = wanted.root;
      services.state = wanted.state;
      plugins = std::make_unique<Plugins>(wanted.directories, services);
    }
    const RegistryInstance& instance = wanted.instances[index];
    ASSIGN_OR_RETURN(const ConfigValue::Table config, FromJson(instance.config_json));
    return plugins->MakeImageRegistry(instance.name, config);
  };
  return RunPullWorker(std::move(control), factory);
}

}  // namespace

int PullWorkerMain(int control_fd) {
  const absl::Status status = Main(control_fd);
  if (status.ok()) return 0;
  LogDebug("pull worker ended", {{"error", status.ToString()}});
  return 1;
}

}  // namespace berth
