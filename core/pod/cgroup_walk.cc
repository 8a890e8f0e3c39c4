#include "core/pod/cgroup_walk.h"

#include <dirent.h>

#include <memory>

#include "absl/strings/str_cat.h"

namespace berth {

std::vector<std::string> GroupsFrom(const std::string& top) {
  std::vector<std::string> groups = {top};
  for (size_t next = 0; next < groups.size(); ++next) {
    const std::string directory = groups[next];  // the vector grows
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(directory.c_str()), &closedir);
    if (stream == nullptr) {
      if (next == 0) return {};
      continue;
    }
    while (const dirent* entry = readdir(stream.get())) {
      if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
        groups.push_back(absl::StrCat(directory, "/", entry->d_name));
      }
    }
  }
  return groups;
}

}  // namespace berth
