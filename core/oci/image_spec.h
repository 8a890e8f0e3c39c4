// image-spec: descriptors, manifests, indexes and image configurations, and Docker's v2 schema 2 forms of them.
//
// All parsers take outside bytes: at most 4 MiB and 64 levels deep, every member used is type-checked, unknown members
// are ignored, and anything wrong is kInvalidArgument with the member's path.
#ifndef BERTH_CORE_OCI_IMAGE_SPEC_H_
#define BERTH_CORE_OCI_IMAGE_SPEC_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/oci/digest.h"
#include "core/oci/platform.h"

namespace berth::oci {

inline constexpr char kMediaTypeIndex[] = "application/vnd.oci.image.index.v1+json";
inline constexpr char kMediaTypeManifest[] = "application/vnd.oci.image.manifest.v1+json";
inline constexpr char kMediaTypeConfig[] = "application/vnd.oci.image.config.v1+json";
inline constexpr char kMediaTypeDockerList[] = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr char kMediaTypeDockerManifest[] = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr char kMediaTypeDockerConfig[] = "application/vnd.docker.container.image.v1+json";

bool IsIndexMediaType(absl::string_view media_type);
bool IsManifestMediaType(absl::string_view media_type);
bool IsConfigMediaType(absl::string_view media_type);

enum class Compression : uint8_t { kNone, kGzip, kZstd };
// How a layer's tar is compressed. kUnimplemented for an encrypted layer and for what is no tar layer.
absl::StatusOr<Compression> LayerCompression(absl::string_view media_type);

// descriptor.md
struct Descriptor {
  std::string media_type;
  Digest digest;
  uint64_t size = 0;
  std::vector<std::string> urls;
  std::map<std::string, std::string> annotations;
  std::optional<Platform> platform;  // in an index
  std::string artifact_type;
  std::string data;  // embedded content, decoded; the caller verifies it like any other content
};

// manifest.md. At most 1024 layers.
struct Manifest {
  std::string media_type;  // "" when the document names none
  std::string artifact_type;
  Descriptor config;
  std::vector<Descriptor> layers;  // base first
  std::map<std::string, std::string> annotations;
};

// image-index.md
struct Index {
  std::string media_type;
  std::vector<Descriptor> manifests;  // may hold indexes too
  std::map<std::string, std::string> annotations;
};

// What an image sets for its containers: config.md "config".
struct ContainerDefaults {
  std::string user;  // "", uid, name, uid:gid, name:group, ...
  std::vector<std::string> env, entrypoint, cmd;
  std::string working_dir, stop_signal;
  std::vector<std::string> volumes;  // paths
  std::map<std::string, std::string> labels;
  std::vector<std::string> exposed_ports;
};

// config.md
struct ImageConfig {
  Platform platform;
  std::string created, author;
  ContainerDefaults config;
  std::vector<Digest> diff_ids;  // base first
};

// What a blob is that a registry served as `media_type`: a document that names another type, or has the members of the
// other kind, is refused (two readers must not see two images in one document).
absl::StatusOr<Manifest> ParseManifest(absl::string_view json, absl::string_view media_type = "");
absl::StatusOr<Index> ParseIndex(absl::string_view json, absl::string_view media_type = "");
absl::StatusOr<ImageConfig> ParseImageConfig(absl::string_view json);

// index.json's and oci-archives' way to tell which it is: by `mediaType`, else by the members.
enum class DocumentKind : uint8_t { kManifest, kIndex };
absl::StatusOr<DocumentKind> KindOfDocument(absl::string_view json);

// The manifest of `index` that runs best on `host`, the first of equals. A descriptor without a platform counts only
// when no other fits. kNotFound names what there is.
absl::StatusOr<Descriptor> SelectPlatform(const Index& index, const Platform& host);

// As many layers as diff ids, and the image is for `host`'s system: what must hold before an image is unpacked.
absl::Status CheckImage(const Manifest& manifest, const ImageConfig& config, const Platform& host);

}  // namespace berth::oci

#endif  // BERTH_CORE_OCI_IMAGE_SPEC_H_
