// One image of the node, as readers see it.
#ifndef BERTH_CORE_IMAGE_IMAGE_RECORD_H_
#define BERTH_CORE_IMAGE_IMAGE_RECORD_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace berth {

// Immutable; valid as long as somebody holds it, also after the image's removal.
struct ImageRecord {
  std::string id;                         // config digest, "sha256:..."
  std::vector<std::string> repo_tags;     // normalised, sorted
  std::vector<std::string> repo_digests;  // normalised, sorted
  std::vector<std::string> chain_ids;     // of its layers, base first
  std::vector<std::string> snapshotters;  // names of those that have all of these
  std::string config;                     // image-spec config.md, JSON as it was pulled
  std::string manifest;                   // JSON as it was pulled
  std::string manifest_digest, manifest_media_type;
  std::string user;   // of the config: "", "1000", "name", "1000:1000", ...
  uint64_t size = 0;  // bytes as downloaded: layers, config and manifest; never 0
  bool pinned = false;
  int64_t created_at = 0;  // ns since the epoch: when it was pulled
};
using ImagePtr = std::shared_ptr<const ImageRecord>;

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_IMAGE_RECORD_H_
