// The pull worker: resolves, downloads, verifies and unpacks one image in a process of its own, so that a hostile
// archive or a faulty registry plugin meets a confined process that can be killed. The protocol is berth.pull.v1.
#ifndef BERTH_CORE_IMAGE_PULL_WORKER_H_
#define BERTH_CORE_IMAGE_PULL_WORKER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/unique_fd.h"
#include "core/image/worker_process.h"
#include "core/plugin/image_registry.h"

namespace berth {

// What a registry plugin is made with.
struct RegistryPlugins {
  std::vector<std::string> directories;
  std::string root, state;  // HostServices
  std::vector<RegistryInstance> instances;
};

// Makes one of the registries that the request names, when its turn comes: one that can't be made is no harm to the
// images of those before it.
using RegistryFactory =
    std::function<absl::StatusOr<std::shared_ptr<ImageRegistry>>(const RegistryPlugins& plugins, size_t index)>;

// Serves one request over `control`, then returns. Returns early when the daemon closes its end; the answer says why a
// pull failed, and has been sent to the daemon. Starts threads and joins them.
absl::Status RunPullWorker(UniqueFd control, const RegistryFactory& factory);

// Gives up what a worker does not need: new privileges, capabilities beyond those that write a rootfs, memory without
// bound, a place at the end of the OOM killer's list. For the whole process; before it starts threads.
absl::Status ConfinePullWorker();

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_PULL_WORKER_H_
