#include "plugins/network_cni/attachment_store.h"

#include <dirent.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string_view>

#include "plugins/network_cni/small_file.h"

namespace berth::network_cni {
namespace {

using sdk::Result;
using sdk::Status;

constexpr size_t kMaxFile = 4 << 20;
constexpr std::string_view kSuffix = ".json";
constexpr char kSeparator = '\n';  // JSON as we write it has none

Status CheckId(const std::string& pod_id) {
  if (IsContainerId(pod_id)) return {};
  return sdk::InvalidArgument("the pod id is not of letters, digits and _.-");
}

}  // namespace

Status AttachmentStore::Save(const std::string& pod_id, const std::vector<Attachment>& attachments) const {
  BERTH_RETURN_IF_ERROR(CheckId(pod_id));
  const std::string text = EncodeAttachments(attachments);
  // Where there is a file already, it is added to: to replace one makes ext4 write it to the disk at once, and the pod
  // waits.
  Status status = AppendToFile(PathOf(pod_id), kSeparator + text);
  if (status.sys_errno() != ENOENT) return status;
  status = WriteSmallFile(PathOf(pod_id), text);
  if (status.sys_errno() != ENOENT) return status;
  BERTH_RETURN_IF_ERROR(MakeDirectories(dir_));
  return WriteSmallFile(PathOf(pod_id), text);
}

Result<std::vector<Attachment>> AttachmentStore::Load(const std::string& pod_id) const {
  BERTH_RETURN_IF_ERROR(CheckId(pod_id));
  BERTH_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(PathOf(pod_id), kMaxFile));
  for (std::string_view left = text;;) {
    const size_t before = left.rfind(kSeparator);
    if (before == std::string_view::npos) return DecodeAttachments(left, PathOf(pod_id));
    Result<std::vector<Attachment>> last = DecodeAttachments(left.substr(before + 1), PathOf(pod_id));
    if (last.ok()) return last;
    left = left.substr(0, before);  // what was being added when the host died
  }
}

Status AttachmentStore::Remove(const std::string& pod_id) const {
  BERTH_RETURN_IF_ERROR(CheckId(pod_id));
  // With what a host that died while it wrote has left.
  for (const std::string& path : {TemporaryOf(PathOf(pod_id)), PathOf(pod_id)}) {
    if (unlink(path.c_str()) != 0 && errno != ENOENT) return sdk::ErrnoStatus("remove " + path);
  }
  return {};
}

Result<std::vector<std::string>> AttachmentStore::PodIds() const {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(dir_.c_str()), &closedir);
  if (stream == nullptr && errno == ENOENT) return std::vector<std::string>();
  if (stream == nullptr) return sdk::ErrnoStatus("open " + dir_);
  std::vector<std::string> out;
  while (const dirent* entry = readdir(stream.get())) {
    std::string name = entry->d_name;
    if (!name.ends_with(kSuffix)) continue;
    name.resize(name.size() - kSuffix.size());
    if (IsContainerId(name)) out.push_back(std::move(name));
  }
  return out;
}

}  // namespace berth::network_cni
