#include "core/pod/cgroup_limits.h"

#include <fcntl.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/failpoint.h"
#include "core/base/file.h"
#include "core/base/status.h"

namespace berth {
namespace {

constexpr const char* kVersion1[] = {
    "cpu.shares",  "cpu.cfs_period_us",     "cpu.cfs_quota_us",           "cpuset.cpus",
    "cpuset.mems", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"};
constexpr const char* kVersion2[] = {"cpu.weight",  "cpu.max",    "cpuset.cpus",
                                     "cpuset.mems", "memory.max", "memory.swap.max"};

// nullopt-like: false when the file is not there or cannot be read.
bool ReadLimit(const std::string& file, std::string* value) {
  auto text = file.empty() ? absl::NotFoundError("") : ReadFile(file);
  if (!text.ok()) return false;
  *value = *std::move(text);
  if (absl::EndsWith(*value, "\n")) value->pop_back();
  return true;
}

absl::Status WriteLimit(const std::string& file, const std::string& value) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(file, O_WRONLY));
  for (absl::string_view line : absl::StrSplit(value, '\n')) {
    // One write(2) for each: that is what the kernel takes as a value. An empty one still needs a byte.
    // failpoint: cgroup.limits.write
    const absl::Status written = WriteAll(fd.get(), absl::StrCat(line, "\n"));
    if (!written.ok()) return Annotate(written, absl::StrCat("write \"", line, "\" to ", file));
  }
  return absl::OkStatus();
}

std::vector<std::string> HugepageFiles(const CgroupTree& tree, const std::string& path) {
  const std::string any = tree.FileOf(path, "hugetlb.x");
  if (any.empty()) return {};
  auto names = ListDir(any.substr(0, any.rfind('/')));
  if (!names.ok()) return {};
  std::erase_if(*names, [](const std::string& name) {
    return !absl::StartsWith(name, "hugetlb.") ||
           (!absl::EndsWith(name, ".limit_in_bytes") && !absl::EndsWith(name, ".max"));
  });
  return *names;
}

}  // namespace

CgroupLimits ReadLimits(const CgroupTree& tree, const std::string& path, const std::vector<std::string>& also) {
  std::vector<std::string> names = HugepageFiles(tree, path);
  names.insert(names.end(), also.begin(), also.end());
  if (tree.version() == 1) names.insert(names.end(), std::begin(kVersion1), std::end(kVersion1));
  if (tree.version() == 2) names.insert(names.end(), std::begin(kVersion2), std::end(kVersion2));
  CgroupLimits limits;
  for (const std::string& name : names) {
    std::string value;
    if (ReadLimit(tree.FileOf(path, name), &value)) limits[name] = std::move(value);
  }
  return limits;
}

absl::Status WriteLimits(const CgroupTree& tree, const std::string& path, const CgroupLimits& limits) {
  RETURN_IF_ERROR(Failpoint("cgroup.limits.write"));
  if (!tree.Exists(path)) return absl::OkStatus();
  CgroupLimits left = limits;
  for (bool progress = true; progress && !left.empty();) {
    progress = false;
    absl::Status refused;
    for (auto it = left.begin(); it != left.end();) {
      std::string now;
      const std::string file = tree.FileOf(path, it->first);
      const bool known = ReadLimit(file, &now);
      const absl::Status written = known && now == it->second ? absl::OkStatus() : WriteLimit(file, it->second);
      refused.Update(written);
      progress |= written.ok();
      it = written.ok() ? left.erase(it) : std::next(it);
    }
    if (!progress) return refused;
  }
  return absl::OkStatus();
}

}  // namespace berth
