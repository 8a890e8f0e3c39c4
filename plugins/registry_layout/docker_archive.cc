// The docker archive half of layout_images.h. Such an archive names its parts by file; a manifest (Docker image
// manifest v2 schema 2) is made up for it: its layers are plain tars, so that their digests are the configuration's
// diff_ids.
#include <algorithm>
#include <utility>

#include "plugins/json/bounded_json.h"
#include "plugins/registry_layout/image_names.h"
#include "plugins/registry_layout/layout_images.h"
#include "plugins/registry_layout/read_at.h"

namespace berth::registry_layout {
namespace {

using json::Value;
using sdk::DataLoss;
using sdk::InvalidArgument;
using sdk::Result;

constexpr size_t kMaxArchiveImages = 256;  // each has a configuration to read
constexpr char kManifestType[] = "application/vnd.docker.distribution.manifest.v2+json";
constexpr char kConfigType[] = "application/vnd.docker.container.image.v1+json";
constexpr char kLayerType[] = "application/vnd.docker.image.rootfs.diff.tar";

// The digest in a name like "HEX.json", "sha256:HEX" or "blobs/sha256/HEX"; "" when there is none.
std::string DigestInName(std::string_view name) {
  if (name.ends_with(".json")) name.remove_suffix(5);
  if (name.size() < 64) return "";
  if (name.size() > 64 && name[name.size() - 65] != '/' && name[name.size() - 65] != ':') return "";
  const std::string digest = "sha256:" + std::string(name.substr(name.size() - 64));
  return IsSha256(digest) ? digest : "";
}

Value Descriptor(const char* type, uint64_t size, const std::string& digest) {
  return Value{{"mediaType", type}, {"size", size}, {"digest", digest}};
}

Result<Value> ReadLayer(const FileSet& files, const std::string& name, const Value& diff_id, LayoutImages& out) {
  const std::string digest = diff_id.is_string() ? diff_id.get_ref<const std::string&>() : "";
  if (!IsSha256(digest)) return InvalidArgument("the configuration's diff_ids are not sha256 digests");
  BERTH_ASSIGN_OR_RETURN(const Blob blob, files.Open(name));
  char first[8] = {};
  const size_t n = std::min<uint64_t>(blob.size, sizeof(first));
  BERTH_RETURN_IF_ERROR(sdk::Annotate(ReadAt(blob.fd.get(), blob.offset, first, n), name));
  const std::string_view compression = CompressionOf({first, n});
  if (!compression.empty()) {
    return sdk::Unimplemented("layer " + name + " is compressed with " + std::string(compression) +
                              ", its digest is unknown: convert it with skopeo copy docker-archive:... "
                              "oci-archive:...");
  }
  out.files[digest] = name;
  return Descriptor(kLayerType, blob.size, digest);
}

Result<StoredImage> ReadImage(const FileSet& files, const Value& entry, LayoutImages& out) {
  const std::string config_name = json::StringMember(entry, "Config");
  BERTH_ASSIGN_OR_RETURN(const std::string text, files.Read(config_name, kMaxConfig));
  BERTH_ASSIGN_OR_RETURN(const Value config, json::Parse(text, config_name, kMaxConfig));
  const std::string config_digest = DigestInName(config_name);
  if (config_digest.empty()) {
    return sdk::Unimplemented("the configuration " + config_name +
                              " is not named by its sha256: convert the archive with skopeo copy docker-archive:... "
                              "oci-archive:...");
  }
  const Value* rootfs = json::Member(config, "rootfs");
  if (rootfs == nullptr) return InvalidArgument(config_name + ": no rootfs in the configuration");
  const std::vector<Value>& diff_ids = json::ArrayMember(*rootfs, "diff_ids");
  const std::vector<Value>& layers = json::ArrayMember(entry, "Layers");
  if (layers.size() != diff_ids.size() || layers.size() > kMaxLayers) {
    return DataLoss("manifest.json names " + std::to_string(layers.size()) + " layers, the configuration " +
                    std::to_string(diff_ids.size()));
  }
  Value manifest{{"schemaVersion", 2}, {"mediaType", kManifestType}, {"layers", Value::array()}};
  manifest["config"] = Descriptor(kConfigType, text.size(), config_digest);
  for (size_t i = 0; i < layers.size(); ++i) {
    if (!layers[i].is_string()) return InvalidArgument("manifest.json: Layers are not names of files");
    BERTH_ASSIGN_OR_RETURN(Value layer, ReadLayer(files, layers[i].get_ref<const std::string&>(), diff_ids[i], out));
    manifest["layers"].push_back(std::move(layer));
  }
  out.files[config_digest] = config_name;
  StoredImage image;
  image.descriptor.media_type = kManifestType;
  image.descriptor.data = json::Dump(manifest);
  image.descriptor.size = image.descriptor.data.size();
  image.platform = {json::StringMember(config, "os"), json::StringMember(config, "architecture"),
                    json::StringMember(config, "variant")};
  return image;
}

}  // namespace

Result<LayoutImages> ReadDockerArchive(const FileSet& files, std::string_view path) {
  BERTH_ASSIGN_OR_RETURN(const std::string text, files.Read("manifest.json", kMaxManifest));
  BERTH_ASSIGN_OR_RETURN(const Value manifest, json::Parse(text, "manifest.json", kMaxManifest));
  if (!manifest.is_array()) return InvalidArgument("manifest.json is not an array");
  if (manifest.size() > kMaxArchiveImages) return sdk::ResourceExhausted("manifest.json names too many images");
  LayoutImages out;
  for (const Value& entry : manifest) {
    BERTH_ASSIGN_OR_RETURN(StoredImage image, ReadImage(files, entry, out));
    NameSources sources;
    for (const Value& tag : json::ArrayMember(entry, "RepoTags")) {
      if (tag.is_string()) sources.repo_tags.push_back(tag.get_ref<const std::string&>());
    }
    sources.only_image = manifest.size() == 1;
    image.names = ImageNames(sources, path);
    out.images.push_back(std::move(image));
  }
  return out;
}

}  // namespace berth::registry_layout
