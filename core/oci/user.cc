#include "core/oci/user.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <unordered_set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/file.h"
#include "core/base/path.h"
#include "core/base/status.h"

namespace berth::oci {
namespace {

using runtime::v1::LinuxContainerSecurityContext;
using runtime::v1::SupplementalGroupsPolicy;

constexpr size_t kMaxLine = 64 << 10;
constexpr size_t kMaxGroups = 65536;    // NGROUPS_MAX
constexpr int64_t kMaxId = 0xFFFFFFFE;  // 2^32-1 means "leave unchanged" to the kernel

struct PasswdEntry {
  std::string name;
  uint32_t uid, gid;
};
struct GroupEntry {
  std::string name;
  uint32_t gid;
  std::vector<std::string> members;
};

std::string Quote(absl::string_view text) { return absl::StrCat("\"", absl::CHexEscape(text.substr(0, 128)), "\""); }

std::optional<uint32_t> ParseId(absl::string_view text) {
  int64_t id = -1;
  if (text.empty() || text[0] < '0' || text[0] > '9' || !absl::SimpleAtoi(text, &id) || id > kMaxId) return {};
  return static_cast<uint32_t>(id);
}

// The file's text; "" when the image has none. Never blocks: a FIFO in its place is an error.
absl::StatusOr<std::string> ReadInRoot(int rootfs_fd, const char* path) {
  auto fd = OpenInRoot(rootfs_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (absl::IsNotFound(fd.status())) return "";
  if (!fd.ok()) return absl::InvalidArgumentError(absl::StrCat("look up users in the image: ", fd.status().message()));
  struct stat st;
  if (fstat(fd->get(), &st) != 0) return ErrnoStatus(absl::StrCat("stat ", path, " of the image"));
  if (!S_ISREG(st.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat("look up users in the image: ", path, " is not a regular file"));
  }
  auto text = ReadAll(fd->get());
  if (absl::IsOutOfRange(text.status())) {
    return absl::InvalidArgumentError(absl::StrCat("look up users in the image: ", path, " is larger than 4 MiB"));
  }
  return text;
}

// Calls `visit` with the fields of each line of a passwd(5) or group(5) file, until it returns true.
template <typename Visit>
void ForEachEntry(absl::string_view text, size_t fields, Visit visit) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (line.empty() || line[0] == '#' || line.size() > kMaxLine) continue;
    const std::vector<absl::string_view> parts = absl::StrSplit(line, ':');
    if (parts.size() >= fields && visit(parts)) return;
  }
}

// By number if `text` is one: an image that names a user "1000" and gives it uid 0 must not turn 1000 into root.
std::optional<PasswdEntry> FindUser(absl::string_view passwd, absl::string_view text) {
  const std::optional<uint32_t> number = ParseId(text);
  std::optional<PasswdEntry> found;
  ForEachEntry(passwd, 4, [&](const std::vector<absl::string_view>& f) {
    const std::optional<uint32_t> uid = ParseId(f[2]), gid = ParseId(f[3]);
    if (!uid || !gid || (number ? *uid != *number : f[0] != text)) return false;
    found = PasswdEntry{std::string(f[0]), *uid, *gid};
    return true;
  });
  return found;
}

absl::StatusOr<uint32_t> FindGroup(absl::string_view group, absl::string_view name) {
  if (std::optional<uint32_t> gid = ParseId(name)) return *gid;
  std::optional<uint32_t> found;
  ForEachEntry(group, 3, [&](const std::vector<absl::string_view>& f) {
    if (f[0] == name) found = ParseId(f[2]);
    return found.has_value();
  });
  if (found) return *found;
  return absl::InvalidArgumentError(absl::StrCat("find group ", Quote(name), ": not in /etc/group of the image"));
}

std::vector<uint32_t> GroupsOf(absl::string_view group, absl::string_view user) {
  std::vector<uint32_t> gids;
  ForEachEntry(group, 4, [&](const std::vector<absl::string_view>& f) {
    const std::optional<uint32_t> gid = ParseId(f[2]);
    const std::vector<absl::string_view> members = absl::StrSplit(f[3], ',');
    if (gid && std::find(members.begin(), members.end(), user) != members.end()) gids.push_back(*gid);
    return gids.size() > kMaxGroups;
  });
  return gids;
}

absl::StatusOr<std::string> IdText(int64_t id, const char* field) {
  if (id < 0 || id > kMaxId) {
    return absl::InvalidArgumentError(absl::StrCat("security context: ", field, " ", id, " is not a valid id"));
  }
  return absl::StrCat(id);
}

// "user" or "user:group", as an image would say it.
absl::StatusOr<std::string> UserText(const LinuxContainerSecurityContext& security, absl::string_view image_user) {
  std::string user;
  if (security.has_run_as_user()) {
    ASSIGN_OR_RETURN(user, IdText(security.run_as_user().value(), "run_as_user"));
  } else if (!security.run_as_username().empty()) {
    user = security.run_as_username();
    if (user.find(':') != std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("security context: run_as_username ", Quote(user), " has a colon"));
    }
  }
  if (security.has_run_as_group()) {
    if (user.empty()) {
      return absl::InvalidArgumentError(
          "security context: run_as_group needs run_as_user or run_as_username beside it");
    }
    ASSIGN_OR_RETURN(const std::string group, IdText(security.run_as_group().value(), "run_as_group"));
    absl::StrAppend(&user, ":", group);
  }
  return user.empty() ? std::string(image_user) : user;
}

// Keeps each gid once, in the order they come.
class GroupList {
 public:
  void Add(uint32_t gid) {
    if (seen_.insert(gid).second) gids_.push_back(gid);
  }
  std::vector<uint32_t> Take() { return std::move(gids_); }
  size_t size() const { return gids_.size(); }

 private:
  std::unordered_set<uint32_t> seen_;
  std::vector<uint32_t> gids_;
};

absl::StatusOr<std::vector<uint32_t>> AdditionalGroups(const LinuxContainerSecurityContext& security, uint32_t primary,
                                                       const std::vector<uint32_t>& of_image) {
  GroupList list;
  list.Add(primary);
  for (uint32_t gid : of_image) list.Add(gid);
  for (int64_t gid : security.supplemental_groups()) {
    RETURN_IF_ERROR(IdText(gid, "supplemental_groups").status());
    list.Add(static_cast<uint32_t>(gid));
  }
  if (list.size() <= kMaxGroups) return list.Take();
  return absl::InvalidArgumentError("user: more groups than the kernel allows (65536)");
}

}  // namespace

absl::StatusOr<ResolvedUser> ResolveUser(int rootfs_fd, const LinuxContainerSecurityContext& security,
                                         absl::string_view image_user) {
  const SupplementalGroupsPolicy policy = security.supplemental_groups_policy();
  if (policy != SupplementalGroupsPolicy::Merge && policy != SupplementalGroupsPolicy::Strict) {
    return absl::InvalidArgumentError(
        absl::StrCat("security context: unknown supplemental_groups_policy ", static_cast<int>(policy)));
  }
  ASSIGN_OR_RETURN(const std::string text, UserText(security, image_user));
  if (text.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("user ", Quote(text), ": has a NUL"));
  }
  const size_t colon = std::min(text.find(':'), text.size());
  const absl::string_view user = absl::string_view(text).substr(0, colon);
  const absl::string_view group = absl::string_view(text).substr(std::min(colon + 1, text.size()));
  ASSIGN_OR_RETURN(const std::string passwd, ReadInRoot(rootfs_fd, "/etc/passwd"));
  ASSIGN_OR_RETURN(const std::string groups, ReadInRoot(rootfs_fd, "/etc/group"));

  const std::optional<PasswdEntry> entry = FindUser(passwd, user.empty() ? "0" : user);
  const std::optional<uint32_t> number = user.empty() ? 0 : ParseId(user);
  if (!entry && !number) {
    return absl::InvalidArgumentError(absl::StrCat("find user ", Quote(user), ": not in /etc/passwd of the image"));
  }
  ResolvedUser resolved;
  resolved.uid = entry ? entry->uid : *number;
  resolved.gid = entry ? entry->gid : 0;
  if (!group.empty()) {
    ASSIGN_OR_RETURN(resolved.gid, FindGroup(groups, group));
  }
  std::vector<uint32_t> of_image;
  if (policy == SupplementalGroupsPolicy::Merge && entry) of_image = GroupsOf(groups, entry->name);
  ASSIGN_OR_RETURN(resolved.additional_gids, AdditionalGroups(security, resolved.gid, of_image));
  return resolved;
}

}  // namespace berth::oci
