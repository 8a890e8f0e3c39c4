// Images in the directory that Debian's docker-registry serves, written there without a push: every combination of
// formats, also those that clients do not push.
#ifndef BERTH_TOOLS_INTEGRATION_REGISTRY_STORE_H_
#define BERTH_TOOLS_INTEGRATION_REGISTRY_STORE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace berth {

enum class ManifestFormat { kOci, kDocker };
enum class LayerFormat { kGzip, kZstd, kPlain };

struct StoredImage {
  std::string id;               // config digest
  std::string manifest_digest;  // of the image's own manifest
  std::string top_digest;       // what the tag names: the same, or an index's
};

class RegistryStore {
 public:
  explicit RegistryStore(std::string root) : root_(std::move(root)) {}

  const std::string& root() const { return root_; }

  // The file with the content of this digest.
  std::string PathOfContent(const std::string& digest) const;

  // `layers` are tar archives, base first. `in_index`: the tag names an index that lists a manifest for another
  // platform, too.
  absl::StatusOr<StoredImage> Add(const std::string& repository, const std::string& tag, ManifestFormat manifest,
                                  LayerFormat layer, const std::vector<std::string>& layers, bool in_index = false);

 private:
  absl::Status PutBlob(const std::string& repository, const std::string& data);
  absl::Status PutManifest(const std::string& repository, const std::string& data);
  absl::Status Link(const std::string& path, const std::string& digest);

  const std::string root_;
};

absl::StatusOr<std::string> Zstd(absl::string_view data);

}  // namespace berth

#endif  // BERTH_TOOLS_INTEGRATION_REGISTRY_STORE_H_
