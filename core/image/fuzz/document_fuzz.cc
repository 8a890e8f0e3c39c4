// Any bytes as a manifest, an index or an image's configuration: refused, or within what the code behind relies on.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/oci/digest.h"
#include "core/oci/image_spec.h"
#include "core/oci/platform.h"

namespace {

void Require(bool condition) {
  if (!condition) abort();
}

void CheckDescriptor(const berth::oci::Descriptor& descriptor) {
  const auto again = berth::Digest::Parse(descriptor.digest.ToString());
  Require(again.ok() && again->ToString() == descriptor.digest.ToString());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  (void)berth::oci::KindOfDocument(text);
  if (const auto manifest = berth::oci::ParseManifest(text); manifest.ok()) {
    CheckDescriptor(manifest->config);
    for (const auto& layer : manifest->layers) CheckDescriptor(layer);
  }
  if (const auto index = berth::oci::ParseIndex(text); index.ok()) {
    for (const auto& manifest : index->manifests) CheckDescriptor(manifest);
    (void)berth::oci::SelectPlatform(*index, berth::oci::HostPlatform());
  }
  (void)berth::oci::ParseImageConfig(text);
  return 0;
}
