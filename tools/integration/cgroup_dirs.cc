#include "tools/integration/cgroup_dirs.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "core/base/file.h"

namespace berth {

std::vector<std::string> CgroupMounts() {
  std::vector<std::string> found;
  const auto mounts = ReadFile("/proc/self/mounts");
  if (!mounts.ok()) return found;
  for (absl::string_view line : absl::StrSplit(*mounts, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ');
    if (fields.size() > 2 && (fields[2] == "cgroup" || fields[2] == "cgroup2")) found.push_back(fields[1]);
  }
  return found;
}

std::vector<std::string> CgroupsWith(const std::string& mark) {
  namespace fs = std::filesystem;
  std::vector<std::string> found;
  for (const std::string& mount : CgroupMounts()) {
    std::error_code error;
    fs::recursive_directory_iterator it(mount, fs::directory_options::skip_permission_denied, error), end;
    for (; !error && it != end; it.increment(error)) {
      std::error_code gone;
      if (it->is_directory(gone) && it->path().string().find(mark, mount.size()) != std::string::npos) {
        found.push_back(it->path().string());
      }
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

void RemoveCgroups(const std::string& mark) {
  for (int attempt = 0; attempt < 50; ++attempt) {
    std::vector<std::string> groups = CgroupsWith(mark);
    if (groups.empty()) return;
    for (auto group = groups.rbegin(); group != groups.rend(); ++group) {
      const auto processes = ReadFile(*group + "/cgroup.procs");
      for (absl::string_view line : absl::StrSplit(processes.value_or(""), '\n', absl::SkipEmpty())) {
        int pid = 0;
        // 0 stands for a process of another pid namespace.
        if (absl::SimpleAtoi(line, &pid) && pid > 0) kill(pid, SIGKILL);
      }
      rmdir(group->c_str());
    }
    usleep(20'000);
  }
}

}  // namespace berth
