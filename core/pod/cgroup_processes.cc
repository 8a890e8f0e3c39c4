// The processes of a cgroup and of all below it: whether there are any, and their end.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>

#include <cerrno>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/failpoint.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/pod/cgroup.h"

namespace berth {
namespace {

constexpr uint64_t kMostProcsBytes = 64 << 20;
constexpr int kDeepest = 64;  // a container may nest groups as it likes

// Calls `visit` with the directory and all below it, parents first; goes on until it answers false.
template <typename Visit>
bool Walk(const std::string& directory, const Visit& visit, int depth = 0) {
  if (!visit(directory)) return false;
  if (depth == kDeepest) return true;
  DIR* opened = opendir(directory.c_str());
  if (opened == nullptr) return true;
  std::vector<std::string> below;
  while (const dirent* entry = readdir(opened)) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') below.emplace_back(entry->d_name);
  }
  closedir(opened);
  for (const std::string& name : below) {
    if (!Walk(absl::StrCat(directory, "/", name), visit, depth + 1)) return false;
  }
  return true;
}

std::vector<pid_t> ProcessesIn(const std::string& directory) {
  std::vector<pid_t> pids;
  const auto text = ReadFile(directory + "/cgroup.procs", kMostProcsBytes);
  for (absl::string_view line : absl::StrSplit(text.value_or(""), '\n', absl::SkipEmpty())) {
    int pid = 0;
    if (absl::SimpleAtoi(line, &pid) && pid > 1) pids.push_back(pid);
  }
  return pids;
}

void WriteIfThere(const std::string& file, absl::string_view text) {
  // failpoint: cgroup.kill
  if (auto fd = OpenFile(file, O_WRONLY); fd.ok()) WriteAll(fd->get(), text).IgnoreError();
}

}  // namespace

absl::Status CgroupTree::Kill(const std::string& path) const {
  RETURN_IF_ERROR(Failpoint("cgroup.kill"));
  absl::Status first;
  for (const std::string& hierarchy : hierarchies_) {
    const std::string top = hierarchy + path;
    if (version_ == 2) {
      // Linux 5.14. It also reaches what is frozen, and what forks meanwhile.
      if (auto fd = OpenFile(top + "/cgroup.kill", O_WRONLY); fd.ok() && WriteAll(fd->get(), "1").ok()) continue;
    }
    Walk(top, [&](const std::string& directory) {
      WriteIfThere(directory + (version_ == 2 ? "/cgroup.freeze" : "/freezer.state"), version_ == 2 ? "0" : "THAWED");
      for (const pid_t pid : ProcessesIn(directory)) {
        // failpoint: cgroup.kill
        if (kill(pid, SIGKILL) != 0 && errno != ESRCH) first.Update(ErrnoStatus(absl::StrCat("kill process ", pid)));
      }
      return true;
    });
  }
  return first;
}

bool CgroupTree::Populated(const std::string& path) const {
  for (const std::string& hierarchy : hierarchies_) {
    const bool empty =
        Walk(hierarchy + path, [](const std::string& directory) { return ProcessesIn(directory).empty(); });
    if (!empty) return true;
  }
  return false;
}

}  // namespace berth
