#include "tools/integration/registry_store.h"

#include <zstd.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/oci/digest.h"
#include "tools/image/oci_layout.h"

namespace berth {
namespace {

using Json = nlohmann::json;

// Names of one family of formats.
struct Types {
  const char *manifest, *index, *config, *plain, *gzip, *zstd;
};
constexpr Types kOciTypes = {
    "application/vnd.oci.image.manifest.v1+json",  "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.config.v1+json",    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.oci.image.layer.v1.tar+zstd"};
constexpr Types kDockerTypes = {
    "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.container.image.v1+json",       "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",    "application/vnd.docker.image.rootfs.diff.tar.zstd"};

absl::StatusOr<std::string> Compressed(const std::string& tar, LayerFormat format) {
  switch (format) {
    case LayerFormat::kGzip:
      return Gzip(tar);
    case LayerFormat::kZstd:
      return Zstd(tar);
    case LayerFormat::kPlain:
      break;
  }
  return tar;
}

const char* TypeOf(const Types& types, LayerFormat format) {
  switch (format) {
    case LayerFormat::kGzip:
      return types.gzip;
    case LayerFormat::kZstd:
      return types.zstd;
    case LayerFormat::kPlain:
      break;
  }
  return types.plain;
}

Json Descriptor(const char* type, const std::string& data) {
  return {{"mediaType", type}, {"digest", Digest::Of(data).ToString()}, {"size", data.size()}};
}

absl::Status Write(const std::string& directory, const std::string& name, const std::string& data) {
  RETURN_IF_ERROR(MakeDirs(directory));
  return WriteFileAtomic(absl::StrCat(directory, "/", name), data, 0644, Durability::kVolatile);
}

// "sha256:abc" as a path: "sha256/abc".
std::string PathOf(std::string digest) {
  digest[digest.find(':')] = '/';
  return digest;
}

}  // namespace

absl::StatusOr<std::string> Zstd(absl::string_view data) {
  std::string out(ZSTD_compressBound(data.size()), '\0');
  const size_t size = ZSTD_compress(out.data(), out.size(), data.data(), data.size(), 1);
  if (ZSTD_isError(size)) return absl::InternalError(ZSTD_getErrorName(size));
  out.resize(size);
  return out;
}

absl::Status RegistryStore::Link(const std::string& path, const std::string& digest) {
  return Write(path, "link", digest);
}

std::string RegistryStore::PathOfContent(const std::string& digest) const {
  const std::string hex = digest.substr(digest.find(':') + 1);
  return absl::StrCat(root_, "/docker/registry/v2/blobs/sha256/", hex.substr(0, 2), "/", hex, "/data");
}

absl::Status RegistryStore::PutBlob(const std::string& repository, const std::string& data) {
  const Digest digest = Digest::Of(data);
  const std::string base = root_ + "/docker/registry/v2";
  RETURN_IF_ERROR(
      Write(absl::StrCat(base, "/blobs/sha256/", digest.hex().substr(0, 2), "/", digest.hex()), "data", data));
  return Link(absl::StrCat(base, "/repositories/", repository, "/_layers/", PathOf(digest.ToString())),
              digest.ToString());
}

absl::Status RegistryStore::PutManifest(const std::string& repository, const std::string& data) {
  RETURN_IF_ERROR(PutBlob(repository, data));
  const std::string digest = Digest::Of(data).ToString();
  return Link(
      absl::StrCat(root_, "/docker/registry/v2/repositories/", repository, "/_manifests/revisions/", PathOf(digest)),
      digest);
}

absl::StatusOr<StoredImage> RegistryStore::Add(const std::string& repository, const std::string& tag,
                                               ManifestFormat format, LayerFormat layer_format,
                                               const std::vector<std::string>& layers, bool in_index) {
  const Types& types = format == ManifestFormat::kOci ? kOciTypes : kDockerTypes;
  Json config = {{"architecture", "amd64"},
                 {"os", "linux"},
                 {"config", {{"Cmd", {"sh"}}, {"Env", {"PATH=/bin"}}}},
                 {"rootfs", {{"type", "layers"}, {"diff_ids", Json::array()}}}};
  Json manifest = {{"schemaVersion", 2}, {"mediaType", types.manifest}, {"layers", Json::array()}};
  for (const std::string& layer : layers) {
    ASSIGN_OR_RETURN(const std::string blob, Compressed(layer, layer_format));
    RETURN_IF_ERROR(PutBlob(repository, blob));
    manifest["layers"].push_back(Descriptor(TypeOf(types, layer_format), blob));
    config["rootfs"]["diff_ids"].push_back(Digest::Of(layer).ToString());
  }
  const std::string config_text = config.dump();
  RETURN_IF_ERROR(PutBlob(repository, config_text));
  manifest["config"] = Descriptor(types.config, config_text);
  const std::string manifest_text = manifest.dump();
  RETURN_IF_ERROR(PutManifest(repository, manifest_text));
  StoredImage stored;
  stored.id = Digest::Of(config_text).ToString();
  stored.manifest_digest = stored.top_digest = Digest::Of(manifest_text).ToString();
  if (in_index) {
    Json other = Descriptor(types.manifest, "not there");
    other["platform"] = {{"os", "linux"}, {"architecture", "s390x"}};
    Json ours = Descriptor(types.manifest, manifest_text);
    ours["platform"] = {{"os", "linux"}, {"architecture", "amd64"}};
    const std::string index =
        Json{{"schemaVersion", 2}, {"mediaType", types.index}, {"manifests", {other, ours}}}.dump();
    RETURN_IF_ERROR(PutManifest(repository, index));
    stored.top_digest = Digest::Of(index).ToString();
  }
  const std::string base =
      absl::StrCat(root_, "/docker/registry/v2/repositories/", repository, "/_manifests/tags/", tag);
  RETURN_IF_ERROR(Link(base + "/current", stored.top_digest));
  RETURN_IF_ERROR(Link(absl::StrCat(base, "/index/", PathOf(stored.top_digest)), stored.top_digest));
  return stored;
}

}  // namespace berth
