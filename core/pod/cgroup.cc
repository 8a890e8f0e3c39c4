#include "core/pod/cgroup.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/failpoint.h"
#include "core/base/file.h"
#include "core/base/status.h"

namespace berth {
namespace {

bool IsOn(const std::string& path, long magic) {
  struct statfs fs;
  return statfs(path.c_str(), &fs) == 0 && fs.f_type == magic;
}

// A new cpuset of version 1 has no CPUs and takes no process until it is given its parent's.
void InheritCpuset(const std::string& directory) {
  for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
    const std::string path = absl::StrCat(directory, "/", file);
    auto own = ReadFile(path);
    if (!own.ok() || own->find_first_not_of(" \n") != std::string::npos) continue;
    auto parent = ReadFile(absl::StrCat(directory, "/../", file));
    auto fd = OpenFile(path, O_WRONLY);
    // failpoint: cgroup.make
    if (parent.ok() && fd.ok()) WriteAll(fd->get(), *parent).IgnoreError();
  }
}

// False with errno. Its parents are there.
bool MakeGroup(const std::string& directory, int version) {
  // failpoint: cgroup.make
  if (mkdir(directory.c_str(), 0755) != 0) return errno == EEXIST;
  if (version == 1) InheritCpuset(directory);
  return true;
}

}  // namespace

absl::StatusOr<CgroupTree> CgroupTree::Detect(const std::string& mount_point) {
  CgroupTree tree;
  if (IsOn(mount_point, CGROUP2_SUPER_MAGIC)) {
    tree.hierarchies_ = {mount_point};
    tree.memory_ = mount_point;
    return tree;
  }
  tree.version_ = 1;
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(mount_point));
  std::set<dev_t> seen;
  for (const std::string& name : names) {
    const std::string directory = absl::StrCat(mount_point, "/", name);
    struct stat st;
    if (!IsOn(directory, CGROUP_SUPER_MAGIC) || stat(directory.c_str(), &st) != 0) continue;
    if (name == "memory") tree.memory_ = directory;
    tree.controllers_[name] = directory;
    if (seen.insert(st.st_dev).second) tree.hierarchies_.push_back(directory);  // "cpu" and "cpu,cpuacct" are one
  }
  if (tree.hierarchies_.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("find cgroups: nothing is mounted at ", mount_point, "; mount cgroup2 there"));
  }
  return tree;
}

absl::Status CgroupTree::Make(const std::string& path) const {
  RETURN_IF_ERROR(Failpoint("cgroup.make"));
  for (const std::string& hierarchy : hierarchies_) {
    if (MakeGroup(hierarchy + path, version_)) continue;
    std::string walked = hierarchy;
    for (absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
      absl::StrAppend(&walked, "/", part);
      if (!MakeGroup(walked, version_)) return ErrnoStatus("mkdir " + walked);
    }
  }
  return absl::OkStatus();
}

absl::Status CgroupTree::Join(const std::string& path, pid_t pid) const {
  RETURN_IF_ERROR(Failpoint("cgroup.join"));
  for (const std::string& hierarchy : hierarchies_) {
    const std::string file = absl::StrCat(hierarchy, path, "/cgroup.procs");
    ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(file, O_WRONLY));
    RETURN_IF_ERROR(Annotate(WriteAll(fd.get(), absl::StrCat(pid)), absl::StrCat("move process ", pid, " to ", file)));
  }
  return absl::OkStatus();
}

absl::Status CgroupTree::Remove(const std::string& path) const {
  absl::Status first = Failpoint("cgroup.remove");
  for (const std::string& hierarchy : hierarchies_) {
    const std::string directory = hierarchy + path;
    if (rmdir(directory.c_str()) != 0 && errno != ENOENT) first.Update(ErrnoStatus("rmdir " + directory));
  }
  return first;
}

bool CgroupTree::Exists(const std::string& path) const {
  for (const std::string& hierarchy : hierarchies_) {
    if (access((hierarchy + path).c_str(), F_OK) == 0) return true;
  }
  return false;
}

std::string CgroupTree::FileOf(const std::string& path, const std::string& name) const {
  if (hierarchies_.empty()) return "";
  const std::string controller = name.substr(0, name.find('.'));
  if (version_ == 2 || controller == "cgroup") return absl::StrCat(hierarchies_.front(), path, "/", name);
  const auto found = controllers_.find(controller);
  return found == controllers_.end() ? std::string() : absl::StrCat(found->second, path, "/", name);
}

uint64_t CgroupTree::OomKills(const std::string& path) const {
  if (memory_.empty()) return 0;
  const auto text = ReadFile(absl::StrCat(memory_, path, version_ == 2 ? "/memory.events" : "/memory.oom_control"));
  if (!text.ok()) return 0;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    const std::pair<absl::string_view, absl::string_view> field = absl::StrSplit(line, absl::MaxSplits(' ', 1));
    uint64_t count = 0;
    if (field.first == "oom_kill" && absl::SimpleAtoi(field.second, &count)) return count;
  }
  return 0;
}

}  // namespace berth
