// StartContainer.
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/container/containers.h"

namespace berth {

void Containers::Start(const std::string& id, Done done) {
  auto found = Find(id);
  if (!found.ok()) return done(found.status());
  (*found)->pod()->queue().Add([this, container = *found, done = std::move(done)] { done(StartOnQueue(container)); });
}

absl::Status Containers::StartOnQueue(const std::shared_ptr<Container>& container) {
  state::v1::Container record = container->view()->record;
  if (record.state() != state::v1::Container::CREATED) {
    return absl::FailedPreconditionError(absl::StrCat("start container ", container->id(), ": it is ",
                                                      state::v1::Container::State_Name(record.state()),
                                                      ", only a CREATED one can be started"));
  }
  const Handler* handler = container->pod()->handler();
  absl::Status started = Failpoint("container.start.before");
  if (started.ok() && handler == nullptr)
    started = absl::FailedPreconditionError("its runtime handler is not configured");
  if (started.ok()) started = handler->executor->Start(ExecutorCall(), RequestFor(*container));
  if (!started.ok() && handler != nullptr) {
    // A start that the last daemon's death had cut off may have come to its end by itself.
    const auto found = handler->executor->State(ExecutorCall(), RequestFor(*container));
    if (found.ok() && found->state == ExecutorState::kRunning) started = absl::OkStatus();
  }
  if (!started.ok()) {
    record.set_started_at(UnixNanos());
    record.set_finished_at(UnixNanos());
    record.set_exit_code(128);
    record.set_reason("StartError");
    record.set_message(std::string(started.message()));
    Exited(container, std::move(record));
    return Annotate(started, absl::StrCat("start container ", container->id()));
  }
  RETURN_IF_ERROR(Failpoint("container.start.after"));
  record.set_state(state::v1::Container::RUNNING);
  record.set_started_at(UnixNanos());
  if (absl::Status saved = Save(container, record); !saved.ok()) {
    // It runs: saying otherwise would make the kubelet start a second one.
    LogError("save a started container", {{"container", container->id()}, {"error", saved.message()}});
    container->set_record(record);
  }
  LogInfo("container has started", {{"container", container->id()}, {"pid", record.pid()}});
  env_.changed(container, EventType::kStarted);
  return absl::OkStatus();
}

}  // namespace berth
