#include "core/oci/image_spec.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/status.h"
#include "core/oci/json.h"

namespace berth::oci {
namespace {

constexpr size_t kMaxLayers = 1024;

struct LayerType {
  const char* media_type;
  Compression compression;
};

constexpr LayerType kLayerTypes[] = {
    {"application/vnd.oci.image.layer.v1.tar", Compression::kNone},
    {"application/vnd.oci.image.layer.v1.tar+gzip", Compression::kGzip},
    {"application/vnd.oci.image.layer.v1.tar+zstd", Compression::kZstd},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar", Compression::kNone},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", Compression::kGzip},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", Compression::kZstd},
    {"application/vnd.docker.image.rootfs.diff.tar", Compression::kNone},
    {"application/vnd.docker.image.rootfs.diff.tar.gzip", Compression::kGzip},
    {"application/vnd.docker.image.rootfs.diff.tar.zstd", Compression::kZstd},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar", Compression::kNone},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Compression::kGzip},
};

Digest ReadDigest(const JsonReader& object, const char* key) {
  absl::StatusOr<Digest> digest = Digest::Parse(object.String(key));
  if (digest.ok()) return *digest;
  object.Fail(key, digest.status().message());
  return {};
}

Platform ReadPlatform(const JsonReader& object) {
  return {.os = object.String("os"),
          .architecture = object.String("architecture"),
          .variant = object.String("variant"),
          .os_version = object.String("os.version")};
}

Descriptor ReadDescriptor(const JsonReader& object) {
  Descriptor descriptor;
  descriptor.media_type = object.String("mediaType");
  descriptor.digest = ReadDigest(object, "digest");
  if (!object.Has("size")) object.Fail("size", "is missing");
  descriptor.size = object.Uint("size");
  descriptor.urls = object.Strings("urls");
  descriptor.annotations = object.StringMap("annotations");
  descriptor.artifact_type = object.String("artifactType");
  if (object.Has("platform")) descriptor.platform = ReadPlatform(object.Object("platform"));
  if (object.Has("data") && !absl::Base64Unescape(object.String("data"), &descriptor.data)) {
    object.Fail("data", "is not base64");
  }
  if (object.Has("data") && descriptor.data.size() != descriptor.size) object.Fail("data", "has not the size given");
  return descriptor;
}

// What both kinds of document begin with.
std::string ReadDocumentType(const JsonReader& document, absl::string_view served_as) {
  if (document.Int("schemaVersion") != 2) document.Fail("schemaVersion", "must be 2");
  std::string named = document.String("mediaType");
  if (!named.empty() && !served_as.empty() && served_as != named) {
    document.Fail("mediaType", absl::StrCat("is ", named, " but was served as ", served_as));
  }
  return named;
}

// True when `candidate` can be an image at all; attestations and other artefacts stand beside images in an index.
bool IsImage(const Descriptor& candidate) {
  return (candidate.media_type.empty() || IsManifestMediaType(candidate.media_type) ||
          IsIndexMediaType(candidate.media_type)) &&
         candidate.artifact_type.empty() && !candidate.annotations.count("vnd.docker.reference.type");
}

}  // namespace

bool IsIndexMediaType(absl::string_view t) { return t == kMediaTypeIndex || t == kMediaTypeDockerList; }
bool IsManifestMediaType(absl::string_view t) { return t == kMediaTypeManifest || t == kMediaTypeDockerManifest; }
bool IsConfigMediaType(absl::string_view t) { return t == kMediaTypeConfig || t == kMediaTypeDockerConfig; }

absl::StatusOr<Compression> LayerCompression(absl::string_view media_type) {
  for (const LayerType& type : kLayerTypes) {
    if (media_type == type.media_type) return type.compression;
  }
  if (absl::EndsWith(media_type, "+encrypted")) {
    return absl::UnimplementedError(absl::StrCat("layer of type ", media_type, ": encrypted layers are not supported"));
  }
  return absl::UnimplementedError(absl::StrCat("layer of type \"", absl::CHexEscape(media_type.substr(0, 200)),
                                               "\": not a tar layer of the OCI or Docker image format"));
}

absl::StatusOr<Manifest> ParseManifest(absl::string_view json, absl::string_view media_type) {
  ASSIGN_OR_RETURN(const nlohmann::json root, ParseJson(json, "image manifest"));
  absl::Status status;
  const JsonReader document(root, "manifest", &status);
  Manifest manifest;
  manifest.media_type = ReadDocumentType(document, media_type);
  if (!manifest.media_type.empty() && !IsManifestMediaType(manifest.media_type)) {
    document.Fail("mediaType", absl::StrCat(manifest.media_type, " is no image manifest"));
  }
  if (document.Has("manifests")) document.Fail("manifests", "a manifest must not be an index as well");
  manifest.artifact_type = document.String("artifactType");
  if (!document.Has("config")) document.Fail("config", "is missing");
  RETURN_IF_ERROR(status);
  manifest.config = ReadDescriptor(document.Object("config"));
  const std::vector<JsonReader> layers = document.Objects("layers");
  if (layers.size() > kMaxLayers) document.Fail("layers", absl::StrCat("more than ", kMaxLayers));
  for (const JsonReader& layer : layers) {
    if (!status.ok()) break;
    manifest.layers.push_back(ReadDescriptor(layer));
  }
  manifest.annotations = document.StringMap("annotations");
  RETURN_IF_ERROR(status);
  return manifest;
}

absl::StatusOr<Index> ParseIndex(absl::string_view json, absl::string_view media_type) {
  ASSIGN_OR_RETURN(const nlohmann::json root, ParseJson(json, "image index"));
  absl::Status status;
  const JsonReader document(root, "index", &status);
  Index index;
  index.media_type = ReadDocumentType(document, media_type);
  if (!index.media_type.empty() && !IsIndexMediaType(index.media_type)) {
    document.Fail("mediaType", absl::StrCat(index.media_type, " is no image index"));
  }
  for (const char* key : {"layers", "config", "fsLayers"}) {
    if (document.Has(key)) document.Fail(key, "an index must not be a manifest as well");
  }
  for (const JsonReader& manifest : document.Objects("manifests")) {
    if (!status.ok()) break;
    index.manifests.push_back(ReadDescriptor(manifest));
  }
  index.annotations = document.StringMap("annotations");
  RETURN_IF_ERROR(status);
  return index;
}

absl::StatusOr<ImageConfig> ParseImageConfig(absl::string_view json) {
  ASSIGN_OR_RETURN(const nlohmann::json root, ParseJson(json, "image configuration"));
  absl::Status status;
  const JsonReader document(root, "config", &status);
  ImageConfig image;
  image.platform = ReadPlatform(document);
  image.created = document.String("created");
  image.author = document.String("author");
  const JsonReader config = document.Object("config");
  image.config.user = config.String("User");
  image.config.env = config.Strings("Env");
  image.config.entrypoint = config.Strings("Entrypoint");
  image.config.cmd = config.Strings("Cmd");
  image.config.working_dir = config.String("WorkingDir");
  image.config.stop_signal = config.String("StopSignal");
  image.config.volumes = config.Keys("Volumes");
  image.config.labels = config.StringMap("Labels");
  image.config.exposed_ports = config.Keys("ExposedPorts");
  const JsonReader rootfs = document.Object("rootfs");
  const std::vector<std::string> diff_ids = rootfs.Strings("diff_ids");
  if (diff_ids.size() > kMaxLayers) rootfs.Fail("diff_ids", absl::StrCat("more than ", kMaxLayers));
  for (const std::string& text : diff_ids) {
    absl::StatusOr<Digest> digest = Digest::Parse(text);
    if (!digest.ok()) rootfs.Fail("diff_ids", digest.status().message());
    if (!status.ok()) break;
    image.diff_ids.push_back(*std::move(digest));
  }
  RETURN_IF_ERROR(status);
  return image;
}

absl::StatusOr<DocumentKind> KindOfDocument(absl::string_view json) {
  ASSIGN_OR_RETURN(const nlohmann::json root, ParseJson(json, "image manifest or index"));
  absl::Status status;
  const JsonReader document(root, "document", &status);
  const std::string named = document.String("mediaType");
  RETURN_IF_ERROR(status);
  if (IsIndexMediaType(named)) return DocumentKind::kIndex;
  if (IsManifestMediaType(named)) return DocumentKind::kManifest;
  if (!named.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("document of type \"", absl::CHexEscape(named.substr(0, 200)), "\": neither manifest nor index"));
  }
  const bool index = document.Has("manifests"), manifest = document.Has("config") || document.Has("layers");
  if (index == manifest) {
    return absl::InvalidArgumentError("document without mediaType: must have either manifests, or config and layers");
  }
  return index ? DocumentKind::kIndex : DocumentKind::kManifest;
}

absl::StatusOr<Descriptor> SelectPlatform(const Index& index, const Platform& host) {
  const Descriptor *best = nullptr, *unnamed = nullptr;
  int best_rank = -1;
  std::vector<std::string> seen;
  for (const Descriptor& candidate : index.manifests) {
    if (!IsImage(candidate)) continue;
    if (!candidate.platform || (candidate.platform->os.empty() && candidate.platform->architecture.empty())) {
      if (!unnamed) unnamed = &candidate;
      continue;
    }
    if (seen.size() < 20) seen.push_back(candidate.platform->ToString());
    if (const int rank = PlatformRank(host, *candidate.platform); rank > best_rank) {
      best = &candidate;
      best_rank = rank;
    }
  }
  if (!best) best = unnamed;
  if (best) return *best;
  return absl::NotFoundError(absl::StrCat("no image for ", host.ToString(), " in the index: it has ",
                                          seen.empty() ? "none" : absl::CHexEscape(absl::StrJoin(seen, ", "))));
}

absl::Status CheckImage(const Manifest& manifest, const ImageConfig& config, const Platform& host) {
  if (manifest.layers.size() != config.diff_ids.size()) {
    return absl::InvalidArgumentError(absl::StrCat("image: the manifest has ", manifest.layers.size(),
                                                   " layers but the configuration ", config.diff_ids.size(),
                                                   " diff ids"));
  }
  if (!config.platform.os.empty() && config.platform.os != host.os) {
    return absl::FailedPreconditionError(absl::StrCat("image is for ", absl::CHexEscape(config.platform.ToString()),
                                                      ", this node is ", host.ToString()));
  }
  if (!config.platform.architecture.empty() && config.platform.architecture != host.architecture) {
    return absl::FailedPreconditionError(absl::StrCat("image is for ", absl::CHexEscape(config.platform.ToString()),
                                                      ", this node is ", host.ToString()));
  }
  return absl::OkStatus();
}

}  // namespace berth::oci
