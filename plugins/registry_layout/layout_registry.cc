#include "plugins/registry_layout/layout_registry.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "plugins/registry_layout/image_names.h"
#include "plugins/registry_layout/read_at.h"

namespace berth::registry_layout {
namespace {

using sdk::Call;
using sdk::Code;
using sdk::ContentDescriptor;
using sdk::Platform;
using sdk::RegistryRequest;
using sdk::Result;
using sdk::Status;

constexpr size_t kChunk = 256 << 10;

// Outside text for a message.
std::string Printable(std::string_view text) {
  std::string out(text.substr(0, 512));
  for (char& c : out) {
    if (c < ' ' || c > '~') c = '?';
  }
  return out;
}

bool Names(const StoredImage& image, const std::string& reference) {
  return std::find(image.names.begin(), image.names.end(), reference) != image.names.end();
}

// How well an image that has the right name fits: an index of several platforms fits any.
int PlatformFit(const Platform& have, const Platform& want) {
  if (have.os.empty() && have.architecture.empty()) return 1;
  if (have.os != want.os || have.architecture != want.architecture) return 0;
  return have.variant == want.variant ? 3 : 2;
}

struct Found {
  const Layout* layout = nullptr;
  const StoredImage* image = nullptr;
};

Found FindByName(const Scan& scan, const RegistryRequest& request) {
  for (const auto& layout : scan.layouts) {
    Found best;
    int fit = -1;
    for (const StoredImage& image : layout->contents.images) {
      if (!Names(image, request.reference)) continue;
      const int this_fit = PlatformFit(image.platform, request.platform);
      if (this_fit > fit) best = {layout.get(), &image};
      fit = std::max(fit, this_fit);
    }
    if (best.image != nullptr) return best;
  }
  return {};
}

Result<Blob> OpenBlob(const Layout& layout, const std::string& digest) {
  const auto it = layout.contents.files.find(digest);
  if (it != layout.contents.files.end()) return layout.files->Open(it->second);
  return layout.files->Open(BlobPath(digest));
}

// The manifest of an OCI layout is there and as large as index.json says.
Status CheckManifest(const Layout& layout, const ContentDescriptor& d) {
  const std::string what = layout.path + ": manifest " + d.digest;
  if (d.size > kMaxManifest) {
    return sdk::ResourceExhausted(what + " claims " + std::to_string(d.size) + " bytes, at most " +
                                  std::to_string(kMaxManifest) + " are read");
  }
  const Result<Blob> blob = OpenBlob(layout, d.digest);
  if (!blob.ok()) return Status(Code::kDataLoss, what + ": " + blob.status().message());
  if (blob->size == d.size) return {};
  return sdk::DataLoss(what + " has " + std::to_string(blob->size) + " bytes, index.json says " +
                       std::to_string(d.size));
}

Result<ContentDescriptor> DescribeManifest(const Layout& layout, ContentDescriptor d) {
  if (d.digest.empty()) return d;  // made up, embedded
  BERTH_RETURN_IF_ERROR(CheckManifest(layout, d));
  if (!d.media_type.empty()) return d;
  BERTH_ASSIGN_OR_RETURN(const std::string text, layout.files->Read(BlobPath(d.digest), kMaxManifest));
  d.media_type = ManifestMediaType(text);
  if (d.media_type.empty()) return sdk::DataLoss(layout.path + ": " + d.digest + " is no manifest and no index");
  return d;
}

// A digest names a manifest that index.json lists, or one that an index in the layout refers to.
Result<ContentDescriptor> FindByDigest(const Scan& scan, const std::string& digest) {
  for (const auto& layout : scan.layouts) {
    for (const StoredImage& image : layout->contents.images) {
      if (image.descriptor.digest == digest) return DescribeManifest(*layout, image.descriptor);
    }
  }
  for (const auto& layout : scan.layouts) {
    const Result<Blob> blob = OpenBlob(*layout, digest);
    if (!blob.ok() || blob->size > kMaxManifest) continue;
    std::string text(blob->size, '\0');
    if (!ReadAt(blob->fd.get(), blob->offset, text.data(), text.size()).ok()) continue;
    std::string type = ManifestMediaType(text);
    if (!type.empty()) return ContentDescriptor{std::move(type), digest, blob->size, ""};
  }
  return sdk::NotFound("");
}

// The bytes from `offset` on, of `size`, that make `length`.
Result<uint64_t> LengthFrom(uint64_t offset, uint64_t length, uint64_t size) {
  if (offset <= size && length == UINT64_MAX) return size - offset;
  if (offset <= size && length <= size - offset) return length;
  return sdk::OutOfRange("bytes " + std::to_string(offset) + "+" + std::to_string(length) + " of " +
                         std::to_string(size) + " were asked for");
}

// The sink's errors are returned as they are: they are the host's own.
Status Deliver(const Call& call, const Blob& blob, const std::string& what, uint64_t offset, uint64_t length,
               const sdk::ImageRegistry::Sink& sink) {
  const Result<uint64_t> range = LengthFrom(offset, length, blob.size);
  if (!range.ok()) return sdk::Annotate(range.status(), what);
  uint64_t left = *range, at = blob.offset + offset;
  std::string buffer(std::min<uint64_t>(left, kChunk), '\0');
  while (left > 0) {
    BERTH_RETURN_IF_ERROR(call.Check());
    const size_t n = std::min<uint64_t>(left, buffer.size());
    BERTH_RETURN_IF_ERROR(sdk::Annotate(ReadAt(blob.fd.get(), at, buffer.data(), n), what));
    BERTH_RETURN_IF_ERROR(sink({buffer.data(), n}));
    at += n;
    left -= n;
  }
  return {};
}

Status DeliverText(std::string_view text, uint64_t offset, uint64_t length, const sdk::ImageRegistry::Sink& sink) {
  BERTH_ASSIGN_OR_RETURN(const uint64_t size, LengthFrom(offset, length, text.size()));
  return size == 0 ? Status() : sink(text.substr(offset, size));
}

// Those with the image asked for first: a blob is looked for where its manifest came from.
std::vector<const Layout*> LikelyOrder(const Scan& scan, const std::string& reference) {
  std::vector<const Layout*> out;
  for (const auto& layout : scan.layouts) out.push_back(layout.get());
  std::stable_partition(out.begin(), out.end(), [&](const Layout* layout) {
    const auto& images = layout->contents.images;
    return std::any_of(images.begin(), images.end(), [&](const StoredImage& i) { return Names(i, reference); });
  });
  return out;
}

}  // namespace

Scan LayoutRegistry::Look() {
  Scan scan = scanner_.Run();
  const std::lock_guard<std::mutex> lock(mutex_);
  std::map<std::string, std::string> now;
  for (const auto& [path, fault] : scan.faults) {
    if (options_.may_be_missing && fault.code() == Code::kNotFound) continue;
    const auto before = warned_.find(path);
    if (options_.warn && (before == warned_.end() || before->second != fault.message())) {
      options_.warn(path + " is not served: " + fault.message());
    }
    now[path] = fault.message();
  }
  warned_ = std::move(now);
  return scan;
}

Status LayoutRegistry::NotServed(const std::string& reference, const Scan& scan) const {
  std::string text = "no image \"" + Printable(reference) + "\" in";
  for (const std::string& directory : options_.directories) text += " " + directory;
  size_t named = 0;
  for (const auto& [path, fault] : scan.faults) {
    if (options_.may_be_missing && fault.code() == Code::kNotFound) continue;
    if (++named > 4) break;
    text += "; not served: " + path + ": " + fault.message();
  }
  if (scan.faults.size() > 4) text += "; and more";
  return sdk::NotFound(std::move(text));
}

Result<ContentDescriptor> LayoutRegistry::Resolve(const Call& call, const RegistryRequest& request) {
  BERTH_RETURN_IF_ERROR(call.Check());
  const Scan scan = Look();
  const size_t at = request.reference.find('@');
  if (at == std::string::npos) {
    const Found found = FindByName(scan, request);
    if (found.image == nullptr) return NotServed(request.reference, scan);
    return DescribeManifest(*found.layout, found.image->descriptor);
  }
  const std::string digest = request.reference.substr(at + 1);
  if (!IsSha256(digest)) return NotServed(request.reference, scan);
  Result<ContentDescriptor> found = FindByDigest(scan, digest);
  if (!found.ok() && found.status().code() == Code::kNotFound) return NotServed(request.reference, scan);
  return found;
}

Status LayoutRegistry::Fetch(const Call& call, const RegistryRequest& request, const ContentDescriptor& what,
                             uint64_t offset, uint64_t length, const sdk::ImageRegistry::Sink& sink) {
  if (!what.data.empty()) return DeliverText(what.data, offset, length, sink);
  if (!IsSha256(what.digest))
    return sdk::InvalidArgument("fetch \"" + Printable(what.digest) + "\": not a sha256 digest");
  const Scan scan = Look();
  Status why = sdk::NotFound("in no layout");
  for (const Layout* layout : LikelyOrder(scan, request.reference)) {
    const Result<Blob> blob = OpenBlob(*layout, what.digest);
    if (blob.ok() && blob->size == what.size) {
      return Deliver(call, *blob, layout->path + ": fetch " + what.digest, offset, length, sink);
    }
    if (blob.ok()) {
      why = sdk::DataLoss(layout->path + " has " + std::to_string(blob->size) + " bytes of it, not " +
                          std::to_string(what.size));
    } else if (blob.status().code() != Code::kNotFound && why.code() == Code::kNotFound) {
      why = sdk::Annotate(blob.status(), layout->path);
    }
  }
  return sdk::Annotate(why, "fetch " + what.digest);
}

Status LayoutRegistry::List(const Call& call, const std::function<void(const std::string&)>& visit) {
  BERTH_RETURN_IF_ERROR(call.Check());
  std::vector<std::string> names;
  for (const auto& layout : Look().layouts) {
    for (const StoredImage& image : layout->contents.images) {
      names.insert(names.end(), image.names.begin(), image.names.end());
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  for (const std::string& name : names) visit(name);
  return {};
}

Status LayoutRegistry::Ping(const Call& call) {
  BERTH_RETURN_IF_ERROR(call.Check());
  const Scan scan = Look();
  for (const auto& [path, fault] : scan.faults) {
    if (options_.may_be_missing && fault.code() == Code::kNotFound) continue;
    return sdk::FailedPrecondition(path + " is not served: " + fault.message());
  }
  return {};
}

}  // namespace berth::registry_layout
