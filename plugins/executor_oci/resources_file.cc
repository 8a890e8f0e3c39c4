#include "plugins/executor_oci/resources_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>

#include "berth/sdk/unique_fd.h"
#include "plugins/json/bounded_json.h"

namespace berth::executor_oci {
namespace {

constexpr size_t kMaxResources = 1 << 20;

}  // namespace

sdk::Result<ResourcesFile> ResourcesFile::Write(const std::string& bundle, const std::string& resources_json) {
  BERTH_ASSIGN_OR_RETURN(const json::Value value, json::Parse(resources_json, "resources", kMaxResources));
  if (!value.is_object()) return sdk::InvalidArgument("resources: want a JSON object");
  std::string path = bundle + "/resources-XXXXXX";
  const sdk::UniqueFd fd(mkostemp(path.data(), O_CLOEXEC));
  if (!fd.valid()) return sdk::ErrnoStatus("make " + path);
  ResourcesFile file(path);
  for (size_t at = 0; at < resources_json.size();) {
    const ssize_t n = write(fd.get(), resources_json.data() + at, resources_json.size() - at);
    if (n < 0 && errno != EINTR) return sdk::ErrnoStatus("write " + path);
    if (n > 0) at += static_cast<size_t>(n);
  }
  return file;
}

ResourcesFile::~ResourcesFile() {
  if (!path_.empty()) unlink(path_.c_str());
}

}  // namespace berth::executor_oci
