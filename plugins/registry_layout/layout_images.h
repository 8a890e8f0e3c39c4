// The images that a layout says it holds: index.json of an OCI image layout (image-spec image-layout.md), or
// manifest.json of a docker archive (docker save, skopeo docker-archive:).
#ifndef BERTH_PLUGINS_REGISTRY_LAYOUT_LAYOUT_IMAGES_H_
#define BERTH_PLUGINS_REGISTRY_LAYOUT_LAYOUT_IMAGES_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "berth/sdk/image_registry.h"
#include "berth/sdk/status.h"
#include "plugins/registry_layout/file_set.h"

namespace berth::registry_layout {

// No registry serves larger manifests; what claims to be larger is refused unread.
inline constexpr uint64_t kMaxManifest = 4 << 20;
inline constexpr uint64_t kMaxConfig = 8 << 20;
inline constexpr size_t kMaxImages = 4096, kMaxLayers = 4096;

struct StoredImage {
  std::vector<std::string> names;  // full references, image_names.h
  // Of the manifest or index. A docker archive has none: `data` is one made up for it, `digest` empty.
  sdk::ContentDescriptor descriptor;
  sdk::Platform platform;  // empty: unknown, or an index of several
};

struct LayoutImages {
  std::vector<StoredImage> images;
  // Docker archive only: where the content with a digest lies. An OCI layout has it at BlobPath().
  std::map<std::string, std::string> files;
};

// "blobs/sha256/HEX" for a digest for which IsSha256() holds.
std::string BlobPath(std::string_view digest);

// The media type of a manifest or index by its fields; "" when it is neither.
std::string ManifestMediaType(std::string_view text);

// `path`: of the layout below its configured directory, without ".tar", which names images that carry only a tag.
sdk::Result<LayoutImages> ReadOciLayout(const FileSet& files, std::string_view path);
sdk::Result<LayoutImages> ReadDockerArchive(const FileSet& files, std::string_view path);

}  // namespace berth::registry_layout

#endif  // BERTH_PLUGINS_REGISTRY_LAYOUT_LAYOUT_IMAGES_H_
