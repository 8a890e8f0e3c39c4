#include "core/image/testing/fakes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/image/testing/tar_builder.h"
#include "core/oci/digest.h"
#include "core/oci/platform.h"

namespace berth {
namespace {

constexpr char kManifest[] = "application/vnd.oci.image.manifest.v1+json";
constexpr char kConfig[] = "application/vnd.oci.image.config.v1+json";
constexpr char kLayer[] = "application/vnd.oci.image.layer.v1.tar+gzip";

std::string Json(const ContentDescriptor& descriptor) {
  return absl::StrCat(R"({"mediaType":")", descriptor.media_type, R"(","digest":")", descriptor.digest, R"(","size":)",
                      descriptor.size, "}");
}

}  // namespace

ContentDescriptor FakeContent::AddBlob(const std::string& media_type, const std::string& data) {
  const std::lock_guard<std::mutex> lock(mutex);
  ContentDescriptor descriptor{media_type, Digest::Of(data).ToString(), data.size(), ""};
  blobs[descriptor.digest] = data;
  return descriptor;
}

std::string FakeContent::AddImage(const std::string& reference, const std::vector<std::string>& layers,
                                  const std::string& user, Compress compress) {
  std::vector<std::string> diff_ids, descriptors, digests;
  for (const std::string& tar : layers) {
    diff_ids.push_back(absl::StrCat("\"", Digest::Of(tar).ToString(), "\""));
    const ContentDescriptor blob = AddBlob(kLayer, compress ? compress(tar) : GzipForTest(tar));
    digests.push_back(blob.digest);
    descriptors.push_back(Json(blob));
  }
  const oci::Platform host = oci::HostPlatform();
  const ContentDescriptor config =
      AddBlob(kConfig,
              absl::StrCat(R"({"os":")", host.os, R"(","architecture":")", host.architecture, R"(","config":{"User":")",
                           user, R"("},"rootfs":{"type":"layers","diff_ids":[)", absl::StrJoin(diff_ids, ","), "]}}"));
  const ContentDescriptor manifest =
      AddBlob(kManifest, absl::StrCat(R"({"schemaVersion":2,"mediaType":")", kManifest, R"(","config":)", Json(config),
                                      R"(,"layers":[)", absl::StrJoin(descriptors, ","), "]}"));
  AddReference(reference, manifest);
  const std::lock_guard<std::mutex> lock(mutex);
  last_layers = digests;
  last_manifest = manifest;
  return config.digest;
}

void FakeContent::AddReference(const std::string& reference, const ContentDescriptor& target) {
  const std::lock_guard<std::mutex> lock(mutex);
  references[reference] = target;
  const std::string repository = reference.substr(0, reference.find_first_of(":@", reference.rfind('/')));
  references[absl::StrCat(repository, "@", target.digest)] = target;
}

void FakeContent::Replace(const std::string& digest, const std::string& data) {
  const std::lock_guard<std::mutex> lock(mutex);
  blobs[digest] = data;
}

std::string FakeContent::LayerDigest(size_t index) const { return last_layers.at(index); }
ContentDescriptor FakeContent::LastManifest() const { return last_manifest; }

absl::StatusOr<ContentDescriptor> FakeRegistry::Resolve(const Call&, const RegistryRequest& request) {
  if (content_->before_resolve) RETURN_IF_ERROR(content_->before_resolve(request));
  const std::lock_guard<std::mutex> lock(content_->mutex);
  const auto it = content_->references.find(request.reference);
  if (const size_t at = request.reference.find('@'); it == content_->references.end() && at != std::string::npos) {
    for (const auto& [reference, target] : content_->references) {
      if (target.digest == request.reference.substr(at + 1)) return target;
    }
  }
  if (it == content_->references.end()) return absl::NotFoundError("no such image here");
  return it->second;
}

absl::Status FakeRegistry::Fetch(const Call& call, const RegistryRequest&, const ContentDescriptor& what,
                                 uint64_t offset, uint64_t length, const Sink& sink) {
  std::string data;
  {
    const std::lock_guard<std::mutex> lock(content_->mutex);
    const auto it = content_->blobs.find(what.digest);
    if (it == content_->blobs.end()) return absl::NotFoundError(absl::StrCat("no blob ", what.digest));
    data = it->second;
    ++content_->fetches[what.digest];
  }
  absl::string_view rest = absl::string_view(data).substr(std::min<uint64_t>(offset, data.size()), length);
  while (!rest.empty()) {
    if (content_->before_piece) RETURN_IF_ERROR(content_->before_piece(call, what.digest, data.size() - rest.size()));
    RETURN_IF_ERROR(sink(rest.substr(0, content_->piece_bytes)));
    rest.remove_prefix(std::min(content_->piece_bytes, rest.size()));
  }
  return absl::OkStatus();
}

absl::Status FakeRegistry::List(const Call&, const std::function<void(const std::string&)>& visit) {
  for (const auto& [reference, unused] : content_->references) visit(reference);
  return absl::OkStatus();
}

absl::Status FakeRegistry::Ping(const Call&) { return absl::OkStatus(); }

bool FakeSnapshotter::IsCommitted(const std::string& key) const {
  return access((Tree(key) + ".committed").c_str(), F_OK) == 0;
}

absl::StatusOr<PreparedSnapshot> FakeSnapshotter::Prepare(const Call&, const SnapshotRequest& request) {
  for (const std::string& parent : request.parents) {
    if (!IsCommitted(parent)) return absl::NotFoundError("no parent " + parent);
  }
  if (mkdir(Tree(request.key).c_str(), 0755) != 0) return ErrnoStatus("mkdir " + Tree(request.key));
  PreparedSnapshot prepared;
  ASSIGN_OR_RETURN(prepared.directory, OpenFile(Tree(request.key), O_RDONLY | O_DIRECTORY));
  return prepared;
}

absl::StatusOr<std::vector<RootfsMount>> FakeSnapshotter::Mounts(const Call&, const SnapshotRequest&) {
  return absl::UnimplementedError("no mounts");
}

absl::Status FakeSnapshotter::Commit(const Call&, const std::string& key, const std::vector<std::string>& parents) {
  for (const std::string& parent : parents) {
    if (!IsCommitted(parent)) return absl::NotFoundError("no parent " + parent);
  }
  return WriteFileAtomic(Tree(key) + ".committed", absl::StrJoin(parents, " "), 0600, Durability::kVolatile);
}

absl::Status FakeSnapshotter::Remove(const Call&, const std::string& key) {
  if (access(Tree(key).c_str(), F_OK) != 0) return absl::NotFoundError("no snapshot " + key);
  for (const std::string& other : Keys()) {
    const auto parents = Parents(other);
    if (std::find(parents.begin(), parents.end(), key) != parents.end())
      return absl::FailedPreconditionError(absl::StrCat(key, " is a parent of ", other));
  }
  RETURN_IF_ERROR(RemoveTree(Tree(key)));
  unlink((Tree(key) + ".committed").c_str());
  return absl::OkStatus();
}

absl::StatusOr<SnapshotInfo> FakeSnapshotter::Stat(const Call&, const std::string& key) {
  if (access(Tree(key).c_str(), F_OK) != 0) return absl::NotFoundError("no snapshot " + key);
  return SnapshotInfo{key, IsCommitted(key) ? SnapshotState::kCommitted : SnapshotState::kActive};
}

absl::StatusOr<SnapshotUsage> FakeSnapshotter::Usage(const Call& call, const std::string& key) {
  RETURN_IF_ERROR(Stat(call, key).status());
  uint64_t fingerprint = 1;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(Tree(key))) {
    const uint64_t size = entry.is_regular_file() ? entry.file_size() : 0;
    fingerprint += std::hash<std::string>()(absl::StrCat(entry.path().string(), " ", size));
  }
  if (on_usage) on_usage(key);
  return SnapshotUsage{1000, 10, fingerprint};
}

absl::Status FakeSnapshotter::Walk(const Call&, const std::function<void(const SnapshotInfo&)>& visit) {
  for (const std::string& key : Keys())
    visit({key, IsCommitted(key) ? SnapshotState::kCommitted : SnapshotState::kActive});
  return absl::OkStatus();
}

std::vector<std::string> FakeSnapshotter::Parents(const std::string& key) const {
  auto text = ReadFile(Tree(key) + ".committed");
  if (!text.ok()) return {};
  return absl::StrSplit(*text, ' ', absl::SkipEmpty());
}

std::set<std::string> FakeSnapshotter::Keys() {
  std::set<std::string> keys;
  auto names = ListDir(root_);
  if (!names.ok()) return keys;
  for (const std::string& name : *names) {
    if (!absl::EndsWith(name, ".committed")) keys.insert(name);
  }
  return keys;
}

}  // namespace berth
