// One layer, from the registry to files on disk: fetch, hash, inflate, hash again, unpack.
#ifndef BERTH_CORE_IMAGE_LAYER_PIPELINE_H_
#define BERTH_CORE_IMAGE_LAYER_PIPELINE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/image/unpack.h"
#include "core/oci/digest.h"
#include "core/oci/image_spec.h"
#include "core/plugin/call.h"
#include "core/plugin/image_registry.h"

namespace berth {

// ImageRegistry::Fetch with everything but the range and the sink bound.
using BlobFetcher =
    std::function<absl::Status(const ContentDescriptor& what, uint64_t offset, const ImageRegistry::Sink& sink)>;

// The whole content of a small blob (a manifest, a configuration): at most 4 MiB, digest and size verified. Embedded
// content is verified like any other; only an empty digest, which goes with embedded content alone, is not.
absl::StatusOr<std::string> FetchDocument(const ContentDescriptor& what, const BlobFetcher& fetch);

struct LayerRequest {
  oci::Descriptor blob;
  Digest diff_id;
  int dir_fd = -1;  // borrowed; empty, or the parents' tree (WhiteoutStyle::kNone)
  WhiteoutStyle whiteouts = WhiteoutStyle::kOverlay;
  uint64_t max_bytes = 0;  // inflated
};

// Blocks; takes one more thread. OK: the tree is complete and is what `blob` and `diff_id` say; it is not synced. A
// connection that breaks is taken up again where it broke, a few times. `progress` counts bytes as they come.
absl::StatusOr<UnpackResult> PullLayer(const LayerRequest& request, const BlobFetcher& fetch,
                                       std::atomic<uint64_t>* progress);

ContentDescriptor ToContent(const oci::Descriptor& descriptor);

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_LAYER_PIPELINE_H_
