// The file that `update --resources` reads: a supervised command has no standard input.
#ifndef BERTH_PLUGINS_EXECUTOR_OCI_RESOURCES_FILE_H_
#define BERTH_PLUGINS_EXECUTOR_OCI_RESOURCES_FILE_H_

#include <string>
#include <utility>

#include "berth/sdk/status.h"

namespace berth::executor_oci {

// Removed when destroyed; after a crash it goes with the bundle it is in.
class ResourcesFile {
 public:
  // kInvalidArgument for what is not a JSON object (runtime-spec linux.resources).
  static sdk::Result<ResourcesFile> Write(const std::string& bundle, const std::string& resources_json);

  ResourcesFile(ResourcesFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ResourcesFile& operator=(ResourcesFile&&) = delete;
  ~ResourcesFile();

  const std::string& path() const { return path_; }

 private:
  explicit ResourcesFile(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

}  // namespace berth::executor_oci

#endif  // BERTH_PLUGINS_EXECUTOR_OCI_RESOURCES_FILE_H_
