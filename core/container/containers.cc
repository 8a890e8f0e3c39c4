#include "core/container/containers.h"

#include <sys/eventfd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/status.h"

namespace berth {

Containers::Containers(ContainerEnvironment environment)
    : env_(std::move(environment)),
      cleaner_(env_.pool),
      cgroup_facts_(oci::ReadCgroupFacts(env_.cgroups->version())),
      shutdown_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Containers::~Containers() = default;

void Containers::Shutdown() {
  retries_.Close();
  eventfd_write(shutdown_.get(), 1);
  for (const auto& container : All()) {
    container->pod()->queue().Add([this, container] {
      EndStop(container, absl::UnavailableError("the daemon is shutting down; call its successor again"));
    });
  }
}

Call Containers::ExecutorCall() const {
  Call call;
  call.deadline_ns = MonotonicNanos() + env_.config->container.executor_timeout_seconds * 1'000'000'000;
  return call;
}

ContainerRequest Containers::RequestFor(const Container& container) const {
  ContainerRequest request;
  request.id = container.id();
  request.pod_id = container.pod()->id();
  request.bundle = BundleOf(container.id());
  request.pid_file = request.bundle + "/pid";
  return request;
}

absl::Status Containers::Save(const std::shared_ptr<Container>& container, const state::v1::Container& record) {
  Transaction change;
  change.Put(Table::kContainers, record.id(), record);
  RETURN_IF_ERROR(env_.store->Commit(change, Durability::kVolatile));
  container->set_record(record);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<Container>> Containers::Find(absl::string_view id) const {
  ASSIGN_OR_RETURN(std::shared_ptr<Container> container, table_.Find(id));
  if (container->state() == state::v1::Container::CREATING) {
    return absl::NotFoundError(absl::StrCat("container ", container->id(), " is still being made"));
  }
  return container;
}

std::vector<std::shared_ptr<Container>> Containers::All() const {
  std::vector<std::shared_ptr<Container>> all = table_.All();
  std::erase_if(all, [](const auto& c) { return c->state() == state::v1::Container::CREATING; });
  return all;
}

std::vector<std::shared_ptr<Container>> Containers::OfPod(absl::string_view pod_id) const {
  std::vector<std::shared_ptr<Container>> all = All();
  std::erase_if(all, [&](const auto& c) { return c->pod()->id() != pod_id; });
  return all;
}

std::vector<std::shared_ptr<Container>> Containers::WholePod(const Pod& pod) const {
  std::vector<std::shared_ptr<Container>> all = table_.All();
  std::erase_if(all, [&](const auto& c) { return c->pod().get() != &pod; });
  return all;
}

}  // namespace berth
