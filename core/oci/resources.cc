#include "core/oci/resources.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace berth::oci {
namespace {

using runtime::v1::LinuxContainerResources;

// "64KB", "2MB", "1GB": part of a file's name in the hugetlb controller.
bool IsPageSize(absl::string_view size) {
  const size_t digits = std::min(size.find_first_not_of("0123456789"), size.size());
  const absl::string_view unit = size.substr(digits);
  return digits > 0 && digits <= 6 && (unit == "KB" || unit == "MB" || unit == "GB");
}

// "0-3,7" (cgroup-v2.rst cpuset.cpus): the characters of a list; whether the machine has them is the kernel's to say.
absl::Status CheckCpuset(const std::string& list, const char* field) {
  if (list.find_first_not_of("0123456789,-") == std::string::npos && list.size() <= 4096) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("resources: ", field, " \"", absl::CHexEscape(list.substr(0, 64)),
                                                 "\" is no list of numbers and ranges, such as 0-3,7"));
}

absl::Status Check(const LinuxContainerResources& r, const CgroupFacts& cgroup) {
  if (r.cpu_period() < 0) return absl::InvalidArgumentError(absl::StrCat("resources: cpu_period is ", r.cpu_period()));
  if (r.cpu_shares() < 0) return absl::InvalidArgumentError(absl::StrCat("resources: cpu_shares is ", r.cpu_shares()));
  if (r.memory_limit_in_bytes() < -1) {
    return absl::InvalidArgumentError(absl::StrCat("resources: memory_limit_in_bytes is ", r.memory_limit_in_bytes()));
  }
  const int64_t swap = r.memory_swap_limit_in_bytes();
  if (swap > 0 && swap < r.memory_limit_in_bytes()) {
    return absl::InvalidArgumentError(
        absl::StrCat("resources: memory_swap_limit_in_bytes is ", swap,
                     ", less than memory_limit_in_bytes which it includes: ", r.memory_limit_in_bytes()));
  }
  if (swap < -1) {
    return absl::InvalidArgumentError(absl::StrCat("resources: memory_swap_limit_in_bytes is ", swap));
  }
  if (swap > 0 && r.memory_limit_in_bytes() <= 0) {
    return absl::InvalidArgumentError(
        "resources: memory_swap_limit_in_bytes is set without memory_limit_in_bytes, which it includes");
  }
  if (absl::Status bad = CheckCpuset(r.cpuset_cpus(), "cpuset_cpus"); !bad.ok()) return bad;
  if (absl::Status bad = CheckCpuset(r.cpuset_mems(), "cpuset_mems"); !bad.ok()) return bad;
  for (const runtime::v1::HugepageLimit& limit : r.hugepage_limits()) {
    if (IsPageSize(limit.page_size())) continue;
    return absl::InvalidArgumentError(absl::StrCat("resources: hugepage_limits names the page size \"",
                                                   absl::CHexEscape(limit.page_size().substr(0, 64)),
                                                   "\", want a form such as 2MB or 1GB"));
  }
  if (!r.unified().empty() && cgroup.version != 2) {
    return absl::InvalidArgumentError("resources: unified is set, but this node has cgroup version 1");
  }
  for (const auto& [key, value] : r.unified()) {
    if (key.empty() || key.find('/') != std::string::npos || key.find('\0') != std::string::npos ||
        key.find('.') == std::string::npos || key.rfind("cgroup.", 0) == 0) {
      return absl::InvalidArgumentError(absl::StrCat("resources: unified names \"", absl::CHexEscape(key.substr(0, 64)),
                                                     "\", which is no controller's file"));
    }
  }
  return absl::OkStatus();
}

nlohmann::json Cpu(const LinuxContainerResources& r, const CgroupFacts& cgroup) {
  nlohmann::json cpu = nlohmann::json::object();
  if (r.cpu_shares() > 0) cpu["shares"] = r.cpu_shares();
  // On version 1 crun 1.8 writes -1 as a huge number, which the kernel refuses; a new group has no quota anyway.
  if (r.cpu_quota() > 0 || (r.cpu_quota() < 0 && cgroup.version == 2)) cpu["quota"] = r.cpu_quota();
  if (r.cpu_period() > 0) cpu["period"] = r.cpu_period();
  if (!r.cpuset_cpus().empty()) cpu["cpus"] = r.cpuset_cpus();
  if (!r.cpuset_mems().empty()) cpu["mems"] = r.cpuset_mems();
  return cpu;
}

nlohmann::json Memory(const LinuxContainerResources& r, const CgroupFacts& cgroup) {
  nlohmann::json memory = nlohmann::json::object();
  const int64_t limit = r.memory_limit_in_bytes();
  const int64_t swap = r.memory_swap_limit_in_bytes() != 0 ? r.memory_swap_limit_in_bytes() : limit;
  if (limit != 0) memory["limit"] = limit;
  if (swap != 0 && cgroup.swap) memory["swap"] = swap;
  return memory;
}

}  // namespace

absl::StatusOr<nlohmann::json> ResourcesJson(const LinuxContainerResources& resources, const CgroupFacts& cgroup) {
  if (absl::Status status = Check(resources, cgroup); !status.ok()) return status;
  nlohmann::json json = nlohmann::json::object();
  if (nlohmann::json cpu = Cpu(resources, cgroup); !cpu.empty()) json["cpu"] = std::move(cpu);
  if (nlohmann::json memory = Memory(resources, cgroup); !memory.empty()) json["memory"] = std::move(memory);
  if (cgroup.hugetlb) {
    for (const runtime::v1::HugepageLimit& limit : resources.hugepage_limits()) {
      json["hugepageLimits"].push_back({{"pageSize", limit.page_size()}, {"limit", limit.limit()}});
    }
  }
  for (const auto& [key, value] : resources.unified()) json["unified"][key] = value;
  return json;
}

LinuxContainerResources MergeResources(const LinuxContainerResources& current, const LinuxContainerResources& update) {
  LinuxContainerResources merged = current;
  if (update.cpu_period() != 0) merged.set_cpu_period(update.cpu_period());
  if (update.cpu_quota() != 0) merged.set_cpu_quota(update.cpu_quota());
  if (update.cpu_shares() != 0) merged.set_cpu_shares(update.cpu_shares());
  if (update.memory_limit_in_bytes() != 0) {
    merged.set_memory_limit_in_bytes(update.memory_limit_in_bytes());
    // A swap limit that was given for the old memory limit says nothing about the new one.
    merged.set_memory_swap_limit_in_bytes(0);
  }
  if (update.memory_swap_limit_in_bytes() != 0) {
    merged.set_memory_swap_limit_in_bytes(update.memory_swap_limit_in_bytes());
  }
  if (update.oom_score_adj() != 0) merged.set_oom_score_adj(update.oom_score_adj());
  if (!update.cpuset_cpus().empty()) merged.set_cpuset_cpus(update.cpuset_cpus());
  if (!update.cpuset_mems().empty()) merged.set_cpuset_mems(update.cpuset_mems());
  if (update.hugepage_limits_size() > 0) *merged.mutable_hugepage_limits() = update.hugepage_limits();
  for (const auto& [key, value] : update.unified()) (*merged.mutable_unified())[key] = value;
  return merged;
}

}  // namespace berth::oci
