// Whole trees of cgroups: found, and removed with what runs in them.
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "core/base/failpoint.h"
#include "core/base/status.h"
#include "core/pod/cgroup.h"
#include "core/pod/cgroup_walk.h"

namespace berth {
namespace {

constexpr int kAttempts = 100;
constexpr useconds_t kPauseMicros = 10'000;

void RemoveEmpty(const std::string& top) {
  const std::vector<std::string> groups = GroupsFrom(top);
  for (auto group = groups.rbegin(); group != groups.rend(); ++group) rmdir(group->c_str());  // failpoint: cgroup.sweep
}

}  // namespace

// What is killed takes its time to go, and may have had a child meanwhile.
absl::Status CgroupTree::RemoveWithProcesses(const std::string& path) const {
  for (int attempt = 0; Exists(path); ++attempt) {
    if (attempt == kAttempts) return absl::UnavailableError(absl::StrCat("cgroup ", path, " still has processes"));
    if (attempt > 0) usleep(kPauseMicros);
    RETURN_IF_ERROR(Kill(path));
    RETURN_IF_ERROR(Failpoint("cgroup.sweep"));
    for (const std::string& hierarchy : hierarchies_) RemoveEmpty(hierarchy + path);
  }
  return absl::OkStatus();
}

void CgroupTree::ForEachGroup(const std::function<void(const std::string& path)>& visit) const {
  for (const std::string& hierarchy : hierarchies_) {
    for (const std::string& group : GroupsFrom(hierarchy)) {
      if (group.size() > hierarchy.size()) visit(group.substr(hierarchy.size()));
    }
  }
}

}  // namespace berth
