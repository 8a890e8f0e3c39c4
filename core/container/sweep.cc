// What bears a container's name of ours and belongs to no record: a power cut may have taken the last intents back, so
// what exists is looked at.
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/failpoint.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/container/containers.h"
#include "core/pod/cgroup_names.h"

namespace berth {

// Every id is in a table before anything is named by it, and until that is gone again: what is listed first and looked
// up then is no stray by accident, whatever else goes on.
bool Containers::IsStray(absl::string_view id) const {
  return env_.ids->Owns(id) && !table_.Find(id).ok() && !env_.pods->Knows(id);
}

void Containers::Sweep() {
  std::set<std::string> strays;
  const auto look_in = [&](const std::string& directory) {
    const auto names = ListDir(directory);
    if (!names.ok()) return;
    for (const std::string& name : *names) {
      if (IsStray(name)) strays.insert(name);
    }
  };
  look_in(env_.config->state + "/bundles");
  // Where executor_oci has the runtimes keep their state unless it is told otherwise.
  const std::string executors = env_.config->state + "/executor";
  if (const auto handlers = ListDir(executors); handlers.ok()) {
    for (const std::string& handler : *handlers) look_in(absl::StrCat(executors, "/", handler));
  }
  std::set<std::pair<std::string, std::string>> groups;  // id, path
  env_.cgroups->ForEachGroup([&](const std::string& path) {
    const absl::string_view id = IdInCgroupName(path);
    if (!IsStray(id)) return;
    strays.emplace(id);
    groups.emplace(id, path);
  });
  for (const std::string& id : strays) SweepContainer(id);
  for (const auto& [id, path] : groups) {
    LogWarn("a cgroup without a record is removed", {{"cgroup", path}});
    if (absl::Status removed = env_.cgroups->RemoveWithProcesses(path); !removed.ok()) {
      LogWarn("remove a cgroup; the next start tries again", {{"cgroup", path}, {"error", removed.message()}});
    }
  }
}

// Nobody knows which handler made it. To the others it is unknown.
void Containers::SweepContainer(const std::string& id) {
  LogWarn("what is left of a container without a record is removed", {{"container", id}});
  ContainerRequest request;
  request.id = request.pod_id = id;
  request.bundle = BundleOf(id);
  request.pid_file = request.bundle + "/pid";
  for (const auto& [name, handler] : env_.pods->handlers().by_name) {
    absl::Status deleted = Failpoint("container.sweep.delete");
    if (deleted.ok()) deleted = handler.executor->Delete(ExecutorCall(), request);
    if (!deleted.ok()) {
      LogWarn("delete executor state; the next start tries again",
              {{"container", id}, {"handler", name}, {"error", deleted.message()}});
      return;  // the bundle stays, by which it is found again
    }
  }
  absl::Status removed = Failpoint("container.sweep.bundle");
  if (removed.ok()) removed = RemoveTree(request.bundle);
  if (!removed.ok()) {
    LogWarn("remove a bundle; the next start tries again", {{"container", id}, {"error", removed.message()}});
  }
}

}  // namespace berth
