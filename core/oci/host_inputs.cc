#include "core/oci/host_inputs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/base/file.h"
#include "core/base/path.h"
#include "core/base/status.h"
#include "core/oci/platform.h"
#include "core/oci/seccomp.h"

namespace berth::oci {
namespace {

constexpr size_t kMaxDevices = 4096;
constexpr int kMaxDepth = 8;

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

// Swap files are absent from the root group, so one below it is looked at.
bool HasSwapFile(const std::string& mount_point) {
  auto names = ListDir(mount_point);
  if (!names.ok()) return false;
  for (const std::string& name : *names) {
    if (Exists(absl::StrCat(mount_point, "/", name, "/memory.swap.max"))) return true;
  }
  return false;
}

uint64_t OwnCapabilities() {
  auto status = ReadFile("/proc/self/status");
  if (!status.ok()) return 0;
  uint64_t effective = 0, bounding = 0;
  for (absl::string_view line : absl::StrSplit(*status, '\n')) {
    uint64_t* value = absl::StartsWith(line, "CapEff:")   ? &effective
                      : absl::StartsWith(line, "CapBnd:") ? &bounding
                                                          : nullptr;
    if (!value) continue;
    if (!absl::SimpleHexAtoi(absl::StripAsciiWhitespace(line.substr(7)), value)) return 0;
  }
  return effective & bounding;
}

std::optional<int> MinOomScoreAdj(uint64_t capabilities) {
  constexpr int kCapSysResource = 24;
  if (capabilities >> kCapSysResource & 1) return std::nullopt;
  auto text = ReadFile("/proc/self/oom_score_adj");
  int value = 0;
  if (!text.ok() || !absl::SimpleAtoi(*text, &value)) return 0;
  return value;
}

bool IsDevice(mode_t mode) { return S_ISCHR(mode) || S_ISBLK(mode); }

DeviceNode NodeOf(const std::string& path, const struct stat& st, const std::string& access) {
  return {.path = path,
          .type = S_ISBLK(st.st_mode) ? 'b' : 'c',
          .major = major(st.st_rdev),
          .minor = minor(st.st_rdev),
          .mode = st.st_mode & 0777,
          .uid = st.st_uid,
          .gid = st.st_gid,
          .access = access};
}

// Gathers device nodes, each place in the container once (the last one wins, as mounts do).
class DeviceList {
 public:
  explicit DeviceList(std::vector<DeviceNode>* nodes) : nodes_(nodes) {}

  absl::Status Add(DeviceNode node) {
    if (nodes_->size() >= kMaxDevices) {
      return absl::InvalidArgumentError(absl::StrCat("devices: more than ", kMaxDevices));
    }
    if (!places_.insert(node.path).second) {
      nodes_->erase(std::find_if(nodes_->begin(), nodes_->end(),
                                 [&](const DeviceNode& other) { return other.path == node.path; }));
    }
    nodes_->push_back(std::move(node));
    return absl::OkStatus();
  }

  // All devices below a directory of the host; links are not followed.
  absl::Status AddBelow(const std::string& host, const std::string& place, const std::string& access, int depth = 0) {
    if (depth > kMaxDepth) return absl::OkStatus();
    ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(host));
    for (const std::string& name : names) {
      const std::string from = absl::StrCat(host, "/", name), to = absl::StrCat(place, "/", name);
      struct stat st;
      if (lstat(from.c_str(), &st) != 0) continue;  // gone meanwhile
      if (IsDevice(st.st_mode)) {
        // The container gets its own of these from the executor.
        if (from != "/dev/console" && from != "/dev/ptmx") RETURN_IF_ERROR(Add(NodeOf(to, st, access)));
      } else if (S_ISDIR(st.st_mode) && !IsPrivateDirectory(from)) {
        RETURN_IF_ERROR(AddBelow(from, to, access, depth + 1));
      }
    }
    return absl::OkStatus();
  }

 private:
  // File systems of their own under /dev.
  static bool IsPrivateDirectory(const std::string& path) {
    return path == "/dev/pts" || path == "/dev/shm" || path == "/dev/mqueue" || path == "/dev/hugepages";
  }

  std::vector<DeviceNode>* const nodes_;
  std::set<std::string> places_;
};

absl::Status CheckAccess(const std::string& access) {
  const bool good = !access.empty() && access.find_first_not_of("rwm") == std::string::npos && access.size() <= 3;
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("permissions \"", absl::CHexEscape(access.substr(0, 16)), "\", must be of r, w and m"));
}

absl::Status AddDevice(const runtime::v1::Device& device, DeviceList& list) {
  const std::string& host = device.host_path();
  const std::string& place = device.container_path().empty() ? host : device.container_path();
  RETURN_IF_ERROR(CheckAbsolutePath(host, "host_path"));
  RETURN_IF_ERROR(CheckAbsolutePath(place, "container_path"));
  const std::string access = device.permissions().empty() ? "rwm" : device.permissions();
  RETURN_IF_ERROR(CheckAccess(access));
  struct stat st;
  if (stat(host.c_str(), &st) != 0) return ErrnoStatus(absl::StrCat("stat ", host));
  if (IsDevice(st.st_mode)) return list.Add(NodeOf(place, st, access));
  if (S_ISDIR(st.st_mode)) return list.AddBelow(host, place, access);
  return absl::InvalidArgumentError(absl::StrCat(host, " is neither a device nor a directory"));
}

absl::StatusOr<std::string> ReadProfile(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  struct stat st;
  if (fstat(fd.get(), &st) != 0) return ErrnoStatus(absl::StrCat("stat ", path));
  if (!S_ISREG(st.st_mode)) return absl::InvalidArgumentError(absl::StrCat(path, " is not a regular file"));
  return ReadAll(fd.get());
}

}  // namespace

CgroupFacts ReadCgroupFacts(int cgroup_version, const std::string& mount_point) {
  CgroupFacts facts{.version = cgroup_version};
  if (cgroup_version == 1) {
    facts.swap = Exists(mount_point + "/memory/memory.memsw.limit_in_bytes");
    facts.hugetlb = Exists(mount_point + "/hugetlb");
    return facts;
  }
  const auto controllers = ReadFile(mount_point + "/cgroup.controllers");
  facts.swap = HasSwapFile(mount_point);
  facts.hugetlb = false;
  if (!controllers.ok()) return facts;
  for (absl::string_view name : absl::StrSplit(*controllers, absl::ByAnyChar(" \n")))
    facts.hugetlb |= name == "hugetlb";
  return facts;
}

absl::StatusOr<HostInputs> ReadHostInputs(const runtime::v1::ContainerConfig& config, const CgroupFacts& cgroup,
                                          const AppArmorPlaces& apparmor) {
  HostInputs host;
  host.cgroup = cgroup;
  host.architecture = HostPlatform().architecture;
  host.capabilities = OwnCapabilities();
  host.min_oom_score_adj = MinOomScoreAdj(host.capabilities);
  host.apparmor = ReadAppArmorFacts(apparmor);
  const auto& security = config.linux().security_context();
  DeviceList devices(&host.devices);
  if (security.privileged()) RETURN_IF_ERROR(Annotate(devices.AddBelow("/dev", "/dev", "rwm"), "devices of the host"));
  for (const runtime::v1::Device& device : config.devices()) {
    RETURN_IF_ERROR(Annotate(AddDevice(device, devices),
                             absl::StrCat("device ", absl::CHexEscape(device.host_path().substr(0, 200)))));
  }
  ASSIGN_OR_RETURN(const SeccompChoice choice, SeccompChoiceOf(security));
  if (choice.kind == SeccompKind::kLocalhost) {
    auto profile = ReadProfile(choice.path);
    if (!profile.ok()) return Annotate(profile.status(), "seccomp: read the localhost profile");
    host.seccomp_profile = *std::move(profile);
  }
  return host;
}

}  // namespace berth::oci
