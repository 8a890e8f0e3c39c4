// ReopenContainerLog: after a rotation.
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/failpoint.h"
#include "core/base/status.h"
#include "core/container/containers.h"

namespace berth {

// On the pool and not on the pod's queue: nothing of the record changes, and the kubelet rotates the logs of all pods
// in one loop that must not wait behind a slow creation. The supervisor sorts it with the writing and the exit.
void Containers::ReopenLog(const std::string& id, Done done) {
  auto found = Find(id);
  if (!found.ok()) return done(found.status());
  env_.pool->Add([this, container = *found, done = std::move(done)] {
    done(Annotate(ReopenLogOf(*container), absl::StrCat("reopen the log of container ", container->id())));
  });
}

absl::Status Containers::ReopenLogOf(const Container& container) {
  if (container.state() != state::v1::Container::RUNNING) {
    return absl::FailedPreconditionError("it is not running; its log is complete");
  }
  ASSIGN_OR_RETURN(const std::shared_ptr<Supervisor> supervisor, container.pod()->SupervisorOrWhyNot());
  RETURN_IF_ERROR(Failpoint("container.log.reopen"));
  RETURN_IF_ERROR(supervisor->ReopenLog(ExecutorCall(), container.id()));
  return Failpoint("container.log.reopened");
}

}  // namespace berth
