// UpdatePodSandboxResources.
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/pod/pod_config.h"
#include "core/pod/pods.h"

namespace berth {

using runtime::v1::LinuxContainerResources;

void Pods::UpdateResources(const std::string& id, std::optional<LinuxContainerResources> overhead,
                           std::optional<LinuxContainerResources> resources, Done done) {
  auto found = Find(id);
  if (!found.ok()) return done(found.status());
  (*found)->queue().Add([this, pod = *found, overhead, resources, done = std::move(done)] {
    done(Annotate(UpdateOnQueue(pod, overhead, resources),
                  absl::StrCat("update the resources of pod sandbox ", pod->id())));
  });
}

absl::Status Pods::UpdateOnQueue(const std::shared_ptr<Pod>& pod,
                                 const std::optional<LinuxContainerResources>& overhead,
                                 const std::optional<LinuxContainerResources>& resources) {
  const std::shared_ptr<const PodView> view = pod->view();
  state::v1::Pod record = view->record;
  if (record.state() != state::v1::Pod::READY) return absl::FailedPreconditionError("it is not ready");
  auto config = std::make_shared<runtime::v1::PodSandboxConfig>(*view->config);
  if (overhead) *config->mutable_linux()->mutable_overhead() = *overhead;
  if (resources) *config->mutable_linux()->mutable_resources() = *resources;
  RETURN_IF_ERROR(CheckPodConfig(*config));
  record.set_config(config->SerializeAsString());
  RETURN_IF_ERROR(Failpoint("pod.update.commit"));
  RETURN_IF_ERROR(Save(pod, record, Durability::kVolatile));
  pod->set_config(std::move(config));
  LogInfo("pod sandbox's resources are updated", {{"pod", pod->id()}});
  return absl::OkStatus();
}

}  // namespace berth
