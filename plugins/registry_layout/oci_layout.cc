// The OCI image layout half of layout_images.h.
#include <utility>

#include "plugins/json/bounded_json.h"
#include "plugins/registry_layout/image_names.h"
#include "plugins/registry_layout/layout_images.h"

namespace berth::registry_layout {
namespace {

using json::Value;
using sdk::InvalidArgument;
using sdk::Result;
using sdk::Status;

constexpr char kManifestType[] = "application/vnd.oci.image.manifest.v1+json";
constexpr char kIndexType[] = "application/vnd.oci.image.index.v1+json";

Status CheckVersion(const FileSet& files) {
  BERTH_ASSIGN_OR_RETURN(const std::string text, files.Read("oci-layout", 4096));
  BERTH_ASSIGN_OR_RETURN(const Value layout, json::Parse(text, "oci-layout", 4096));
  const std::string version = json::StringMember(layout, "imageLayoutVersion");
  if (version.starts_with("1.")) return {};
  return sdk::Unimplemented("oci-layout: imageLayoutVersion is not 1.x");
}

Result<StoredImage> ReadDescriptor(const Value& d, const std::string& where) {
  StoredImage image;
  image.descriptor.media_type = json::StringMember(d, "mediaType");
  image.descriptor.digest = json::StringMember(d, "digest");
  if (!IsSha256(image.descriptor.digest)) {
    return InvalidArgument(where + ": digest is not \"sha256:\" and 64 lowercase hex digits");
  }
  const auto size = json::UintMember(d, "size");
  if (!size) return InvalidArgument(where + ": size is not a number");
  image.descriptor.size = *size;
  if (const Value* platform = json::Member(d, "platform")) {
    image.platform = {json::StringMember(*platform, "os"), json::StringMember(*platform, "architecture"),
                      json::StringMember(*platform, "variant")};
  }
  return image;
}

}  // namespace

std::string BlobPath(std::string_view digest) {
  return "blobs/sha256/" + std::string(digest.substr(std::string_view("sha256:").size()));
}

std::string ManifestMediaType(std::string_view text) {
  const Result<Value> v = json::Parse(text, "manifest", kMaxManifest);
  if (!v.ok()) return "";
  const std::string type = json::StringMember(*v, "mediaType");
  const Value* layers = json::Member(*v, "layers");
  const Value* manifests = json::Member(*v, "manifests");
  if (layers != nullptr && layers->is_array()) return type.empty() ? kManifestType : type;
  if (manifests != nullptr && manifests->is_array()) return type.empty() ? kIndexType : type;
  return "";
}

Result<LayoutImages> ReadOciLayout(const FileSet& files, std::string_view path) {
  BERTH_RETURN_IF_ERROR(CheckVersion(files));
  BERTH_ASSIGN_OR_RETURN(const std::string text, files.Read("index.json", kMaxManifest));
  BERTH_ASSIGN_OR_RETURN(const Value index, json::Parse(text, "index.json", kMaxManifest));
  const std::vector<Value>& manifests = json::ArrayMember(index, "manifests");
  if (manifests.size() > kMaxImages) return sdk::ResourceExhausted("index.json names too many images");
  LayoutImages out;
  for (size_t i = 0; i < manifests.size(); ++i) {
    BERTH_ASSIGN_OR_RETURN(StoredImage image,
                           ReadDescriptor(manifests[i], "index.json: manifests[" + std::to_string(i) + "]"));
    NameSources sources;
    if (const Value* annotations = json::Member(manifests[i], "annotations")) {
      sources.ref_name = json::StringMember(*annotations, "org.opencontainers.image.ref.name");
      sources.containerd_name = json::StringMember(*annotations, "io.containerd.image.name");
    }
    sources.only_image = manifests.size() == 1;
    image.names = ImageNames(sources, path);
    out.images.push_back(std::move(image));
  }
  return out;
}

}  // namespace berth::registry_layout
