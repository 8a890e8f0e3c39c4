// Whole trees of cgroups: found, and removed with what runs in them.
#include <dirent.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "core/base/failpoint.h"
#include "core/base/status.h"
#include "core/pod/cgroup.h"

namespace berth {
namespace {

constexpr int kAttempts = 100;
constexpr useconds_t kPauseMicros = 10'000;

std::vector<std::string> GroupsBelow(const std::string& directory) {
  std::vector<std::string> groups;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(directory.c_str()), &closedir);
  if (stream == nullptr) return groups;  // it is gone
  while (const dirent* entry = readdir(stream.get())) {
    const absl::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") groups.push_back(absl::StrCat(directory, "/", name));
  }
  return groups;
}

void WalkBelow(const std::string& directory, size_t hierarchy_size,
               const std::function<void(const std::string&)>& visit) {
  for (const std::string& group : GroupsBelow(directory)) {
    visit(group.substr(hierarchy_size));
    WalkBelow(group, hierarchy_size, visit);
  }
}

// Deepest first.
void RemoveEmpty(const std::string& group) {
  for (const std::string& below : GroupsBelow(group)) RemoveEmpty(below);
  rmdir(group.c_str());  // failpoint: cgroup.sweep
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
  for (const std::string& hierarchy : hierarchies_) WalkBelow(hierarchy, hierarchy.size(), visit);
}

}  // namespace berth
